import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { programCommand } from '#testkit/program-command';

/** Each is a problem. Together they are longer than what a pipe holds. */
const STORAGES = 2000;

// Born failing: a script that worked on each line got the first 64 KiB only, and exit code 0.
test('a reader that takes its time gets the whole output', async () => {
  const names = Array.from({ length: STORAGES }, (_, index) => `storage-${index}`);
  const child = spawn(process.execPath, [...programCommand('gitaly'), 'configuration', 'validate'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  child.stdin.end(names.map((name) => `[[storage]]\nname = "${name}"\npath = "/no-such/${name}"\n`).join(''));

  await Promise.race([exited, delay(4000)]);
  const { errors } = JSON.parse(await text(child.stdout)) as { errors: unknown[] };

  assert.ok(errors.length >= STORAGES, `${errors.length} problems`);
  assert.deepEqual(await exited, [2, null]);
});
