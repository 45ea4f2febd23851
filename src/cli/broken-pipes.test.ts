import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { never } from '#testkit/until';

/** Each is a problem. Together they are longer than what a pipe holds. */
const STORAGES = 2000;
/** It includes the start of the program. */
const READ_AFTER_MS = 4000;

for (const program of ['gitaly', 'gitaly-backup', 'gitaly-ts', 'praefect'] as const) {
  test(`${program} ends without a stack trace when the reader of its output has left`, async () => {
    const child = spawn(process.execPath, [...programCommand(program), '--help'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();

    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);

    assert.deepEqual([code, stderr], [0, '']);
  });
}

test('output that does not fit on the disk is a failure', async () => {
  for (const program of ['gitaly', 'gitaly-ts'] as const) {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [...programCommand(program), '--help'], {
      stdio: ['ignore', full, 'ignore'],
    });
    closeSync(full);

    assert.deepEqual(await once(child, 'exit'), [1, null]);
  }
});

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
