import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { programCommand } from '#testkit/program-command';
import { never } from '#testkit/until';

/** Each is a problem. Together they are longer than what a pipe holds. */
const STORAGES = 2000;
/** It includes the start of the program. */
const READ_AFTER_MS = 4000;

// Born failing: a script that worked on each line got the first 64 KiB only, and exit code 0.
test('a reader that takes its time gets the whole output', async () => {
  const names = Array.from({ length: STORAGES }, (_, index) => `storage-${index}`);
  const child = spawn(process.execPath, [...programCommand('gitaly'), 'configuration', 'validate'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  child.stdin.end(names.map((name) => `[[storage]]\nname = "${name}"\npath = "/no-such/${name}"\n`).join(''));

  await never(() => child.exitCode !== null, 'it has ended before its output was read', READ_AFTER_MS);
  const { errors } = JSON.parse(await text(child.stdout)) as { errors: unknown[] };

  assert.ok(errors.length >= STORAGES, `${errors.length} problems`);
  assert.deepEqual(await exited, [2, null]);
});
