import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const REPORTER = join(import.meta.dirname, 'failed-files.ts');

test('the file that was run is named, also for tests that a module defines for it', () => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'failed-files-')));
  try {
    writeFileSync(
      join(directory, 'shared.mjs'),
      `import { test } from 'node:test';
       export const define = () => test('x', () => { throw new Error(); });`,
    );
    const [file = '', sound = ''] = ['a.test.mjs', 'b.test.mjs'].map((name) => join(directory, name));
    writeFileSync(file, `import { define } from './shared.mjs'; define(); define();`);
    writeFileSync(sound, '');
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;

    const { stdout } = spawnSync(process.execPath, ['--test', `--test-reporter=${REPORTER}`, file, sound], {
      env,
      encoding: 'utf8',
    });

    assert.equal(stdout, `${file}\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
