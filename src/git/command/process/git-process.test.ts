import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { until } from '#testkit/until';
import type { ChildExit, SpawnedChild } from '../spawner/spawner.ts';
import type { GitExit } from './exit-error.ts';
import { GitProcess, type GitProcessOptions } from './git-process.ts';

/** No process has this id: it is above the limit of Linux. */
const PID = 1 << 29;
const SUCCESS: ChildExit = { code: 0, signal: undefined, usage: undefined };
const KILLED: ChildExit = { code: undefined, signal: 'SIGKILL', usage: undefined };

interface Fake {
  readonly process: GitProcess;
  readonly child: SpawnedChild;
  readonly streams: readonly PassThrough[];
  readonly exits: GitExit[];
  /** Signals that a living group got, without the checks. */
  readonly signals: (string | number | undefined)[];
  /** The number of checks whether the group lives. */
  readonly checks: () => number;
  /** True for each of `signals` that was sent while standard input was open. */
  readonly wasOpen: readonly boolean[];
  /** State that signals find: a living group, none, or one of another user. */
  readonly group: { state: 'alive' | 'gone' | 'not ours' };
  readonly end: (exit: ChildExit) => void;
}

const KILL = process.kill;

/** A child without a program, whose end and group the test decides. */
function fake(context: TestContext, options: Partial<GitProcessOptions> = {}): Fake {
  const { promise, resolve } = Promise.withResolvers<ChildExit>();
  const [stdin, stdout, stderr, socket] = Array.from({ length: 4 }, () => new PassThrough());
  assert.ok(stdin && stdout && stderr && socket);
  const child: SpawnedChild = { pid: PID, stdin, stdout, stderr, extra: [socket], exited: promise };
  const signals: (string | number | undefined)[] = [];
  const wasOpen: boolean[] = [];
  const group: Fake['group'] = { state: 'alive' };
  let checks = 0;
  // Not a mock: with two of them in a test, the end of it restores the first one.
  context.after(() => {
    process.kill = KILL;
  });
  process.kill = (pid, signal) => {
    assert.equal(pid, -PID);
    if (signal === 0) checks++;
    else if (group.state === 'alive') {
      signals.push(signal);
      wasOpen.push(!stdin.destroyed);
    }
    if (group.state === 'alive') return true;
    throw Object.assign(new Error(), { code: group.state === 'gone' ? 'ESRCH' : 'EPERM' });
  };
  const exits: GitExit[] = [];
  const started = new GitProcess(child, {
    argv: ['git', 'log'],
    startedAt: performance.now(),
    title: 'git log',
    signal: undefined,
    keepStderr: true,
    killGraceMs: 30,
    onExit: (_process, exit) => exits.push(exit),
    ...options,
  });
  // Without a reader, standard error ends only when it is closed.
  const end = (exit: ChildExit): void => {
    stderr.end();
    resolve(exit);
  };
  return {
    process: started,
    child,
    streams: [stdin, stdout, socket],
    exits,
    signals,
    checks: () => checks,
    wasOpen,
    group,
    end,
  };
}

test('who is told to end gets one SIGTERM, and its streams are closed at once', async (context) => {
  const { process, streams, signals, group, end } = fake(context);
  assert.equal(process.isEnding, false);

  process.kill();
  process.kill();

  assert.equal(process.isEnding, true);
  assert.deepEqual(signals, ['SIGTERM']);
  assert.deepEqual(
    streams.map(({ destroyed }) => destroyed),
    [true, true, true],
  );
  group.state = 'gone';
  end({ ...SUCCESS, code: 1 });
  assert.equal((await process.exited).code, 1);
  await process.groupEnded();
  assert.deepEqual(signals, ['SIGTERM']);
});

// A push that was stopped on purpose was logged as an error: `fatal: early EOF`.
test('the signal to end is sent before git can notice the end of its input', async (context) => {
  const { process, wasOpen, group, end } = fake(context);

  process.kill();

  assert.deepEqual(wasOpen, [true]);
  group.state = 'gone';
  end(KILLED);
  await process.exited;
});

test('a group that goes on after the grace is killed, until it is gone', async (context) => {
  const { process, signals, group, end } = fake(context);

  process.kill();
  const ended = process.groupEnded();
  await until(() => signals.length >= 3);
  group.state = 'gone';
  end(KILLED);
  await ended;

  assert.equal(signals[0], 'SIGTERM');
  assert.deepEqual(new Set(signals.slice(1)), new Set(['SIGKILL']));
});

test('the rest of a group is checked while the process itself has ended', async (context) => {
  const { process, signals, checks, end } = fake(context, { killGraceMs: 20 });
  process.kill();

  end(SUCCESS);
  await process.exited;
  await until(() => signals.length >= 2);

  assert.deepEqual(signals.slice(0, 2), ['SIGTERM', 'SIGKILL']);
  assert.ok(checks() > 0);
});

for (const state of ['gone', 'not ours'] as const) {
  test(`a group that is ${state} gets no SIGKILL when its grace is over`, async (context) => {
    const { process, signals, group, end } = fake(context, { killGraceMs: 1_000 });
    process.kill();

    group.state = state;
    end(SUCCESS);
    const before = performance.now();
    await process.groupEnded();

    assert.ok(performance.now() - before < 900, 'the grace was waited for');
    assert.deepEqual(signals, ['SIGTERM']);
  });
}

test('a group whose dead members nobody reaps is given up after a second', async (context) => {
  const { process, signals, end } = fake(context, { killGraceMs: 1 });
  const now = performance.now.bind(performance);
  let ahead = 0;
  context.mock.method(performance, 'now', () => now() + ahead);
  process.kill();
  await until(() => signals.length >= 2);

  ahead = 1_001;
  await process.groupEnded();

  end(KILLED);
  await process.exited;
});

test('the children of a process that was killed from outside are ended', async (context) => {
  const { process, signals, group, end } = fake(context);

  end(KILLED);
  await process.exited;

  group.state = 'gone';
  assert.deepEqual(signals, ['SIGTERM']);
  assert.equal(process.isEnding, false);
});

test('a process that ends by itself gets no signal, then or later', async (context) => {
  const { process, signals, checks, end } = fake(context);
  end(SUCCESS);
  await process.exited;

  process.kill();
  await process[Symbol.asyncDispose]();
  await process.groupEnded();

  assert.deepEqual([signals, checks(), process.isEnding], [[], 0, false]);
});

test('an abort says why, once, and leaves no listener', async (context) => {
  const controller = new AbortController();
  const { process, signals, exits, group, end } = fake(context, { signal: controller.signal });
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1);

  controller.abort(new DOMException('', 'TimeoutError'));
  assert.deepEqual(signals, ['SIGTERM']);
  group.state = 'gone';
  end({ ...KILLED, signal: 'SIGTERM' });

  const exit = await process.exited;
  assert.equal(exit.ended, 'context deadline exceeded');
  assert.deepEqual(exits, [exit]);
  assert.deepEqual(signals, ['SIGTERM']);
});

test('a signal that outlives the process keeps nothing of it', async (context) => {
  const { signal } = new AbortController();
  const { process, end } = fake(context, { signal });

  end(SUCCESS);
  const exit = await process.exited;

  assert.deepEqual(getEventListeners(signal, 'abort'), []);
  assert.equal(exit.ended, undefined);
  assert.ok(exit.realMs >= 0 && exit.realMs < 60_000);
});

test('a signal that was aborted during the start ends the process', (context) => {
  const signal = AbortSignal.abort();
  const { signals, end } = fake(context, { signal });

  assert.deepEqual(signals, ['SIGTERM']);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
  end(SUCCESS);
});

test('a broken stream is no unhandled error', async (context) => {
  for (const keepStderr of [true, false]) {
    const { process, child, end } = fake(context, { keepStderr });
    for (const stream of [child.stdin, child.stdout, child.stderr, ...child.extra])
      stream?.destroy(new Error('EPIPE'));
    await nextTurn();

    end(SUCCESS);
    assert.equal((await process.exited).code, 0);
  }
});

test('standard error is kept, or read by the caller', async (context) => {
  const kept = fake(context);
  const read = fake(context, { keepStderr: false });
  for (const { child, end } of [kept, read]) {
    (child.stderr as PassThrough).write('why\n');
    await nextTurn();
    end({ ...SUCCESS, code: 3 });
  }

  await assert.rejects(kept.process.succeeded(), { message: 'exit status 3', stderr: 'why\n' });
  assert.throws(() => kept.process.stderrStream, /without a pipe for stderr/);
  assert.equal(read.process.stderrStream, read.child.stderr);
  assert.equal(read.process.stderr(), '');
});

test('a stream that was not asked for is an error', (context) => {
  const { child, end } = fake(context);
  const bare = new GitProcess(
    {
      pid: child.pid,
      exited: child.exited,
      extra: [],
      stdin: undefined,
      stdout: undefined,
      stderr: undefined,
    },
    {
      argv: [],
      startedAt: 0,
      title: 'git',
      signal: undefined,
      keepStderr: true,
      killGraceMs: 1,
      onExit: () => {},
    },
  );

  assert.throws(() => bare.stdin, /without a pipe for stdin/);
  assert.throws(() => bare.stdout, /without a pipe for stdout/);
  assert.equal(bare.stderr(), '');
  end(SUCCESS);
});

test('leaving the scope ends the process, and closes what the caller reads', async (context) => {
  for (const keepStderr of [true, false]) {
    const { process, child, streams, signals, group, end } = fake(context, { keepStderr });
    const disposed = process[Symbol.asyncDispose]();
    const isClosed = child.stderr?.destroyed;
    group.state = 'gone';
    await nextTurn();
    assert.equal(await Promise.race([disposed.then(() => 'left'), 'waiting']), 'waiting');
    end(KILLED);
    await disposed;

    assert.deepEqual(signals, ['SIGTERM']);
    assert.equal(isClosed, !keepStderr);
    assert.ok(streams.every(({ destroyed }) => destroyed));
  }
});

test('who is ended for its CPU time says so, unless it was told to end before', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  for (const isToldBefore of [false, true]) {
    const { process: started, child, signals, group, end } = fake(context);
    // CPU time of this process in /proc, which is not zero.
    Object.assign(started, { pid: process.pid });
    using _limit = started.limitCpu(-1);
    Object.assign(started, { pid: PID });
    assert.equal(started.hasExceededCpu, false);

    if (isToldBefore) started.kill();
    context.mock.timers.tick(1_000);

    assert.deepEqual(signals, ['SIGTERM']);
    assert.equal(started.hasExceededCpu, !isToldBefore);
    (child.stderr as PassThrough).write('why\n');
    await nextTurn();
    group.state = 'gone';
    end({ ...KILLED, signal: 'SIGTERM' });
    await assert.rejects(
      started.succeeded(),
      isToldBefore
        ? { name: 'GitExitError', message: 'signal: terminated' }
        : {
            code: 'RESOURCE_EXHAUSTED',
            message: 'git log used more than -1 s of processor time',
            metadata: { stderr: 'why\n' },
          },
    );
  }
});

test('the watch of the CPU time ends with the process', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { process: started, end } = fake(context);
  Object.assign(started, { pid: process.pid });
  started.limitCpu(-1);

  end(SUCCESS);
  await started.exited;
  await nextTurn();
  context.mock.timers.tick(1_000);

  assert.equal(started.hasExceededCpu, false);
});

test('what is left in the streams of an ended process is closed with its scope', async (context) => {
  const { process, streams, end } = fake(context);
  end(SUCCESS);
  await process.exited;

  await process[Symbol.asyncDispose]();

  assert.ok(streams.every(({ destroyed }) => destroyed));
});
