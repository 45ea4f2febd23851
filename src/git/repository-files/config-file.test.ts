import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { MAX_CONFIG_BYTES, readSettings } from './config-file.ts';

const directory = makeScratchDirectory('config-file');
after(() => rmSync(directory, { recursive: true }));

test('a config file is read up to its limit, and a larger one is left to git', () => {
  const settings = '[core]\n\tbare = true\n';
  const write = (bytes: number): void =>
    writeFileSync(join(directory, 'config'), settings.padEnd(bytes, '\n'));

  write(MAX_CONFIG_BYTES);
  assert.deepEqual(
    readSettings({ path: directory })?.map(({ key, value }) => [key, value?.toString()]),
    [['core.bare', 'true']],
  );
  write(MAX_CONFIG_BYTES + 1);
  assert.equal(readSettings({ path: directory }), undefined);
});
