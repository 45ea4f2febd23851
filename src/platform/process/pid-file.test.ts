import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { writePidFile } from './pid-file.ts';

test("the pid file holds our pid until we remove it; a successor's file stays", async () => {
  const directory = makeScratchDirectory('pid');
  const path = join(directory, 'gitaly.pid');

  const remove = await writePidFile({ GITALY_PID_FILE: path });
  assert.equal(readFileSync(path, 'utf8'), String(process.pid));
  assert.deepEqual(readdirSync(directory), ['gitaly.pid']);
  remove();
  assert.equal(existsSync(path), false);

  const removeAgain = await writePidFile({ GITALY_PID_FILE: path });
  writeFileSync(path, '1');
  removeAgain();
  assert.equal(readFileSync(path, 'utf8'), '1');
  rmSync(directory, { recursive: true });
});

test('without GITALY_PID_FILE nothing is written', async () => {
  const directory = makeScratchDirectory('pid');
  const before = process.cwd();
  process.chdir(directory);
  try {
    for (const env of [{}, { GITALY_PID_FILE: '' }]) {
      const remove = await writePidFile(env);
      assert.deepEqual(readdirSync(directory), []);
      remove();
    }
  } finally {
    process.chdir(before);
    rmSync(directory, { recursive: true });
  }
});
