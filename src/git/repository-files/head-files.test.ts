import assert from 'node:assert/strict';
import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { HeadFiles } from './head-files.ts';

const directory = makeScratchDirectory('head-files');
after(() => rmSync(directory, { recursive: true }));

/** Age from which a change gives a file another stamp, and some time more. */
const SETTLED_MS = 2_100;
const TIME = new Date(1_700_000_000_000);

test('a HEAD that was just written is read each time, one of some age until it changes', async () => {
  const file = join(directory, 'HEAD');
  const heads = new HeadFiles();
  const write = (text: string): void => {
    writeFileSync(file, text);
    utimesSync(file, TIME, TIME);
  };
  const read = (): string => heads.read(file, statSync(file)).toString();
  const bytes = (): Buffer => heads.read(file, statSync(file));

  write('ref: refs/heads/one\n');
  assert.equal(read(), 'ref: refs/heads/one\n');
  assert.notEqual(bytes(), bytes());
  await sleep(SETTLED_MS);
  assert.equal(bytes(), bytes());
  write('ref: refs/heads/two\n');
  assert.equal(read(), 'ref: refs/heads/two\n');
});
