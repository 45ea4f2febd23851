import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { ProcessGuard } from './process-guard.ts';
import { SupervisedProcess } from './supervised-process.ts';

// Born failing: each failed start left its pid with the guard, which ended whatever process had got
// that pid since.
test('the guard does not end a process that has the pid of a failed start', async () => {
  const other = spawn('/bin/sleep', ['600'], { stdio: 'ignore' });
  const ended = once(other, 'exit');
  const pid = other.pid ?? 0;
  const guard = new ProcessGuard();
  const unsignalled = new AbortController().signal;
  const options = { name: 'a server', guard, guardSignal: 'KILL', signal: unsignalled } as const;
  const fail = async (onSpawn: (pid: number) => void): Promise<never> => {
    onSpawn(pid);
    throw new Error('it has ended');
  };

  await assert.rejects(
    SupervisedProcess.start({
      ...options,
      force: unsignalled,
      onNote: () => {},
      start: (_, onSpawn) => fail(onSpawn),
    }),
  );
  let starts = 0;
  const first = { pid: 2 ** 30, exited: Promise.resolve(), stop: async () => {} };
  const supervised = await SupervisedProcess.start({
    ...options,
    force: unsignalled,
    onNote: () => {},
    start: async (_, onSpawn) => (starts++ === 0 ? first : await fail(onSpawn)),
  });
  await until(() => starts > 1, 'a start that fails');
  await supervised[Symbol.asyncDispose]();
  await guard[Symbol.asyncDispose]();

  assert.deepEqual([other.exitCode, other.signalCode], [null, null]);
  other.kill();
  assert.deepEqual(await ended, [null, 'SIGTERM']);
});
