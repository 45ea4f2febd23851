import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { programCommand } from '#testkit/program-command';

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
