import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Libc } from './libc.ts';
import { Reaper } from './reaper.ts';

interface Death {
  readonly status: number;
  readonly usage?: readonly bigint[];
}

interface Arranged {
  readonly reaper: Reaper;
  /** The children that have died; `undefined` is one that another has reaped. */
  readonly dead: Map<number, Death | undefined>;
  /** Returns the number of `wait4` calls for a child. */
  readonly checks: () => number;
}

/** A reaper of children that the test lets die. */
function arrange(context: TestContext): Arranged {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const dead = new Map<number, Death | undefined>();
  let checked = 0;
  const libc: Pick<Libc, 'wait4'> = {
    wait4: (pid, status, options, usage) => {
      checked++;
      assert.equal(options, 1, 'WNOHANG: the event loop does not wait');
      if (!dead.has(pid)) return 0;
      const death = dead.get(pid);
      if (death === undefined) return -1;
      status[0] = death.status;
      for (const [index, word] of death.usage?.entries() ?? []) usage[index] = word;
      return pid;
    },
  };
  const before = process.listeners('SIGCHLD');
  // The reaper uses nothing else of it.
  const reaper = new Reaper(libc as Libc);
  context.after(() => {
    for (const listener of process.listeners('SIGCHLD'))
      if (!before.includes(listener)) process.off('SIGCHLD', listener);
  });
  return { reaper, dead, checks: () => checked };
}

/** Lets time pass; timers that are set meanwhile fire too, which one large tick does not do. */
function pass(context: TestContext, ms: number): void {
  for (let passed = 0; passed < ms; passed++) context.mock.timers.tick(1);
}

for (const [status, code, signal] of [
  [0, 0, undefined],
  [0x0100, 1, undefined],
  [0xff00, 255, undefined],
  [9, undefined, 'SIGKILL'],
  [15, undefined, 'SIGTERM'],
  // With a core dump.
  [0x80 | 11, undefined, 'SIGSEGV'],
  // Of the two names, the usual one.
  [6, undefined, 'SIGABRT'],
  // A real-time signal, which Node does not name.
  [40, undefined, 'SIGKILL'],
] as const) {
  test(`the status 0x${status.toString(16)} is code ${code}, signal ${signal}`, async (context) => {
    const { reaper, dead } = arrange(context);
    const exited = reaper.wait(7);
    dead.set(7, { status });

    process.emit('SIGCHLD', 'SIGCHLD');

    const exit = await exited;
    assert.deepEqual([exit.code, exit.signal], [code, signal]);
  });
}

test('what a child used is in the words of its rusage', async (context) => {
  const { reaper, dead } = arrange(context);
  const exited = reaper.wait(7);
  // man 2 getrusage: two times of seconds and microseconds, then the counters in this order.
  const usage = [
    1n,
    500_000n,
    2n,
    250_000n,
    104n,
    105n,
    106n,
    107n,
    108n,
    109n,
    110n,
    111n,
    112n,
    113n,
    114n,
  ].concat([115n, 116n, 117n]);
  dead.set(7, { status: 0, usage });

  process.emit('SIGCHLD', 'SIGCHLD');

  assert.deepEqual((await exited).usage, {
    userMs: 1_500,
    systemMs: 2_250,
    maxRssKilobytes: 104,
    minorFaults: 108,
    majorFaults: 109,
    blocksIn: 111,
    blocksOut: 112,
    signals: 115,
    voluntarySwitches: 116,
    involuntarySwitches: 117,
  });
});

test('of a child that another has reaped nothing is known', async (context) => {
  const { reaper, dead } = arrange(context);
  const exited = reaper.wait(7);
  dead.set(7, undefined);

  process.emit('SIGCHLD', 'SIGCHLD');

  assert.deepEqual(await exited, { code: undefined, signal: undefined, usage: undefined });
});

test('only the dead are reaped, and a lost signal is made up for within a second', async (context) => {
  const { reaper, dead } = arrange(context);
  const ends: number[] = [];
  for (const pid of [7, 8]) void reaper.wait(pid).then(() => ends.push(pid));

  dead.set(8, { status: 0 });
  process.emit('SIGCHLD', 'SIGCHLD');
  await Promise.resolve();
  assert.deepEqual(ends, [8]);

  dead.set(7, { status: 0 });
  pass(context, 999);
  await Promise.resolve();
  assert.deepEqual(ends, [8], 'nothing is polled where signals arrive');
  pass(context, 1);
  await Promise.resolve();
  assert.deepEqual(ends, [8, 7]);
});

// In Jest every git took a second: `process` of its sandbox gets no signals.
test('without signals an end is noticed within an eighth of the time of the child', async (context) => {
  const { reaper, dead } = arrange(context);
  for (const [pid, lifeMs] of [
    [7, 20],
    [8, 3],
    [9, 200],
  ] as const) {
    let hasEnded = false;
    void reaper.wait(pid).then(() => {
      hasEnded = true;
    });
    pass(context, lifeMs);
    dead.set(pid, { status: 0 });
    pass(context, 2 + lifeMs / 8);
    await Promise.resolve();
    assert.equal(hasEnded, true, `${lifeMs} ms`);
  }
});

test('without signals a short child is noticed in time also beside a long one', async (context) => {
  const { reaper, dead } = arrange(context);
  void reaper.wait(7);
  pass(context, 10_000);
  let hasEnded = false;
  void reaper.wait(8).then(() => {
    hasEnded = true;
  });

  dead.set(8, { status: 0 });
  pass(context, 2);
  await Promise.resolve();

  assert.equal(hasEnded, true);
});

test('a long child costs few checks where no signal arrives', (context) => {
  const { reaper, checks } = arrange(context);
  void reaper.wait(7);

  pass(context, 10_000);

  assert.ok(checks() < 250, `${checks()} checks in 10 s`);
});

test('a signal ends the polling, and an end without a signal begins it again', async (context) => {
  const { reaper, dead, checks } = arrange(context);
  void reaper.wait(7);
  process.emit('SIGCHLD', 'SIGCHLD');
  const atSignal = checks();
  pass(context, 900);
  assert.equal(checks(), atSignal);

  dead.set(7, { status: 0 });
  pass(context, 100);
  void reaper.wait(8);
  const atWait = checks();
  pass(context, 10);

  assert.ok(checks() - atWait >= 5);
});

test('without children nothing is checked, so that the process can end', async (context) => {
  const { reaper, dead, checks } = arrange(context);
  const exited = [reaper.wait(7), reaper.wait(8)];

  for (const pid of [7, 8]) dead.set(pid, { status: 0 });
  process.emit('SIGCHLD', 'SIGCHLD');
  await Promise.all(exited);
  const atEnd = checks();
  pass(context, 5_000);

  assert.equal(checks(), atEnd);
});
