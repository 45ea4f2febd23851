import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutOwnPostgres as skip } from '#testkit/start-postgres';
import { Database, sql } from './database.ts';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { endLeftover } from './postmaster-pid.ts';

// Born failing: a backend was killed, then the process that had started the server. The guard's
// SIGINT came during the crash recovery, and the server was "stopping" for good. The next start
// failed after 30 seconds, and `kill -INT`, as it advised, had no effect.
test('a server that never ends its fast stop is ended, and starts again', { skip }, async () => {
  const directory = makeScratchDirectory('pg');
  let stopped: number | undefined;
  try {
    const left = await startEmbeddedPostgres({ directory, isDurable: false });
    const { host, pid, user } = left;
    {
      const settings = { host, user, database: 'postgres', ssl: false, mayFallBack: false } as const;
      await using database = await Database.open(settings);
      const backend = await database.row(sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`);
      // The server waits for it: it ends neither by SIGTERM nor by SIGQUIT.
      stopped = backend?.pid;
      assert.ok(stopped !== undefined);
      process.kill(stopped, 'SIGSTOP');
    }

    await endLeftover(join(directory, 'data'), 200);

    stopped = undefined;
    await left.exited;
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    const again = await startEmbeddedPostgres({ directory, isDurable: false });
    await removeEmbeddedPostgres(again, directory);
  } finally {
    if (stopped !== undefined) process.kill(stopped, 'SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
