import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { LockHeldError, takeLock } from './up-lock.ts';

// Symptom: a process did not end while another one, which was stopped, had asked for its lock.
test('a lock is released although another process has not closed its connection', async (context) => {
  const directory = makeScratchDirectory('up-lock');
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'up.lock');
  const lock = await takeLock(path);
  const stopped = connect({ path, allowHalfOpen: true });
  context.after(() => stopped.destroy());
  await once(stopped, 'readable'); // the description
  await assert.rejects(takeLock(path), LockHeldError);

  await lock.release();

  assert.equal(existsSync(path), false);
});
