import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import os, { getPriority } from 'node:os';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { SpawnedChild, Spawner, SpawnRequest } from '../spawner/spawner.ts';
import {
  type ProcessStart,
  type ProcessStats,
  type StartProcessOptions,
  startProcess,
} from './start-process.ts';

/** No process has this id: it is above the limit of Linux. */
const PID = 1 << 29;

interface Fake {
  readonly parts: StartProcessOptions;
  readonly requests: SpawnRequest[];
}

/** A spawner of children that end at once with code 3 and a word on standard error. */
function fake(parts: Partial<StartProcessOptions> = {}): Fake {
  const requests: SpawnRequest[] = [];
  const spawner: Spawner = {
    name: 'child_process',
    spawn: (request): SpawnedChild => {
      requests.push(request);
      const stderr = new PassThrough();
      stderr.end('why');
      const exited = Promise.resolve({ code: 3, signal: undefined, usage: undefined });
      return { pid: PID, stdin: undefined, stdout: undefined, stderr, extra: [], exited };
    },
  };
  return {
    requests,
    parts: {
      spawner,
      file: '/bin/git',
      argv: ['git', 'log'],
      env: { A: 'b' },
      program: 'git',
      subcommand: 'log',
      repositoryPath: '/r',
      observers: [],
      ...parts,
    },
  };
}

test('without options a process has no input, and its outputs are pipes', async () => {
  const { parts, requests } = fake();

  const { exited, title } = startProcess(parts);
  await exited;

  const [{ controlGroup, pipeBytes, startsNone, ...request } = {}] = requests;
  assert.deepEqual(
    [controlGroup, pipeBytes, startsNone, title],
    [undefined, undefined, undefined, 'git log'],
  );
  assert.deepEqual(request, {
    file: '/bin/git',
    argv: ['git', 'log'],
    env: { A: 'b' },
    cwd: '/',
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    extraPipes: 0,
  });
});

test('every option reaches the spawner', async () => {
  const controlGroup = { directories: [], fd: undefined, path: 'group' };
  const options = { stdin: 'pipe', stdout: 7, stderr: 'ignore', extraPipes: 2, pipeBytes: 4096 } as const;
  const { parts, requests } = fake({ ...options, cwd: '/c', controlGroup, startsNone: true });

  await startProcess(parts).exited;

  const { file, argv, env } = parts;
  assert.deepEqual(requests, [{ file, argv, env, ...options, cwd: '/c', controlGroup, startsNone: true }]);
});

test('all observers learn of the start, and of the end those that wish', async () => {
  const starts: ProcessStart[] = [];
  const ends: ProcessStats[] = [];
  const observe = (start: ProcessStart) => {
    starts.push(start);
    return (stats: ProcessStats) => void ends.push(stats);
  };
  const controlGroup = { directories: [], fd: undefined, path: 'group' };
  const ignore = (start: ProcessStart): undefined => void starts.push(start);
  const { parts } = fake({ observers: [ignore, observe], controlGroup, referenceBackend: 'files' });

  const before = performance.now();
  const process = startProcess(parts);
  const tookMs = performance.now() - before;
  const startsAtOnce = starts.length;
  await process.exited;

  assert.equal(startsAtOnce, 2);
  const [{ forkMs = -1, ...start } = {}] = starts;
  assert.ok(forkMs >= 0 && forkMs <= tookMs);
  assert.deepEqual(start, {
    program: 'git',
    subcommand: 'log',
    argv: ['git', 'log'],
    pid: PID,
    repositoryPath: '/r',
    controlGroupPath: 'group',
    referenceBackend: 'files',
  });
  assert.equal(ends.length, 1);
  assert.equal(ends[0]?.stderrHead.toString(), 'why');
  assert.equal(ends[0]?.exit.code, 3);
  assert.equal(ends[0]?.pid, PID);
});

test('a program without subcommands has its own name as title', async () => {
  const { parts } = fake({ program: 'hook', subcommand: '' });

  assert.equal(startProcess(parts).title, 'hook');
});

test('a value with NUL, of text or bytes, starts nothing', () => {
  for (const value of ['a\0b', Buffer.from('a\0b')]) {
    const { parts, requests } = fake({ env: { OK: Buffer.from('x'), A: value } });

    assert.throws(() => startProcess(parts), {
      code: 'UNKNOWN',
      message: 'exec: environment variable contains NUL',
    });
    assert.deepEqual(requests, []);
  }
});

test('after an abort nothing is started', () => {
  const { parts, requests } = fake({ signal: AbortSignal.abort() });

  assert.throws(() => startProcess(parts), { code: 'CANCELLED' });
  assert.deepEqual(requests, []);
});

test('only a process that makes packs gets a lower priority', async (context) => {
  const own = getPriority();
  for (const yields of [false, true]) {
    const { parts } = fake({ yields });
    const set = context.mock.method(os, 'setPriority', () => {});
    syncBuiltinESMExports();

    await startProcess(parts).exited;

    assert.deepEqual(
      set.mock.calls.map((call) => call.arguments),
      yields ? [[PID, Math.min(own + 10, 19)]] : [],
    );
    set.mock.restore();
    syncBuiltinESMExports();
  }
});

test('a limit of CPU time is watched from the start', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const intervals = context.mock.method(globalThis, 'setInterval');

  await startProcess(fake().parts).exited;
  assert.equal(intervals.mock.callCount(), 0);
  await startProcess(fake({ maxCpuSeconds: 1 }).parts).exited;
  assert.equal(intervals.mock.callCount(), 1);
});
