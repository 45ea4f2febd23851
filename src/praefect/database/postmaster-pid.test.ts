import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { movedClock } from '#testkit/praefect/moved-clock';
import { pidFileText } from '#testkit/praefect/scripted-postgres';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutOwnPostgres as skip } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { Database, sql } from './database.ts';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { endLeftover, readPidFile } from './postmaster-pid.ts';

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

/** Makes a directory of data with a pid file. */
function dataWith(context: TestContext, pid: number): { data: string; file: string } {
  const data = makeScratchDirectory('pg-data');
  context.after(() => rmSync(data, { recursive: true, force: true }));
  const file = join(data, 'postmaster.pid');
  writeFileSync(file, pidFileText(pid, 'ready   '));
  return { data, file };
}

/** Starts a process that records its signals, as a server on the data. @param ends ends it */
async function startLeftover(context: TestContext, ends: string) {
  const { data, file } = dataWith(context, 0);
  const traps = ['INT', 'QUIT'].map((name) => `trap 'echo ${name} >> "$1/signals"' ${name}`);
  const script = [...traps, ends, 'touch "$1/begun"', 'while :; do sleep 0.01; done'].join('\n');
  const child: ChildProcess = spawn('/bin/sh', ['-c', script, 'postgres', data], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  context.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const pid = child.pid ?? assert.fail();
  writeFileSync(file, pidFileText(pid, 'ready'));
  await until(() => existsSync(join(data, 'begun')));
  return { data, pid, exited, signals: () => readFileSync(join(data, 'signals'), 'utf8') };
}

test('a pid file has a process and a state, or counts as none', async (context) => {
  const { data, file } = dataWith(context, 42);
  assert.deepEqual(await readPidFile(data), { pid: 42, state: 'ready' });
  for (const text of ['', '1\n', '0\n', 'x\n']) {
    writeFileSync(file, text);
    assert.equal(await readPidFile(data), undefined, text);
  }
  writeFileSync(file, '2\n'); // PostgreSQL writes it line by line
  assert.deepEqual(await readPidFile(data), { pid: 2, state: '' });
  rmSync(file);
  assert.equal(await readPidFile(data), undefined);
});

test('the pid file of a process that is no server on the data is removed', async (context) => {
  const { data, file } = dataWith(context, process.pid);

  await endLeftover(data);

  assert.equal(existsSync(file), false);
});

test('the pid file of a process that has ended is left to PostgreSQL', async (context) => {
  const { data, file } = dataWith(context, spawnSync('/bin/true').pid);

  await endLeftover(data);

  assert.equal(existsSync(file), true);
});

test('a server that ends by a fast stop gets no other signal', async (context) => {
  const { data, exited, signals } = await startLeftover(
    context,
    `trap 'echo INT >> "$1/signals"; sleep 0.2; exit 0' INT`,
  );

  await endLeftover(data);

  await exited;
  assert.equal(signals(), 'INT\n');
});

test('a server that no signal ends is reported after the times of both stops', async (context) => {
  const { data, pid, signals } = await startLeftover(context, '');
  let error: unknown;
  const pass = movedClock(context);
  endLeftover(data).catch((reason) => {
    error = reason;
  });
  for (let ms = 0; error === undefined && ms < 600_000; ms += 50) await pass(50);

  assert.ok(error instanceof Error);
  assert.equal(
    error.message,
    `PostgreSQL still runs on ${data} (process ${pid}) and does not respond. ` +
      `End it, and start again: kill -KILL ${pid}`,
  );
  await until(() => existsSync(join(data, 'signals')) && signals() === 'INT\nQUIT\n');
});
