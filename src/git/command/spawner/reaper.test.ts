import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Libc } from './libc.ts';
import { Reaper } from './reaper.ts';

interface Death {
  readonly status: number;
  readonly usage?: readonly bigint[];
}

/** A reaper of children that the test lets die; `undefined` is one that another has reaped. */
function arrange(context: TestContext): { reaper: Reaper; dead: Map<number, Death | undefined> } {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const dead = new Map<number, Death | undefined>();
  const libc: Pick<Libc, 'wait4'> = {
    wait4: (pid, status, options, usage) => {
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
  return { reaper, dead };
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
  context.mock.timers.tick(1_000);
  await Promise.resolve();
  assert.deepEqual(ends, [8, 7]);

  // Later children are looked after, too.
  dead.delete(8);
  void reaper.wait(8).then(() => ends.push(8));
  dead.set(8, { status: 0 });
  context.mock.timers.tick(1_000);
  await Promise.resolve();
  assert.deepEqual(ends, [8, 7, 8]);
});

test('without children nothing is checked, so that the process can end', async (context) => {
  const { reaper, dead } = arrange(context);
  const clear = context.mock.method(globalThis, 'clearInterval');
  const exited = [reaper.wait(7), reaper.wait(8)];
  dead.set(7, { status: 0 });
  process.emit('SIGCHLD', 'SIGCHLD');
  assert.equal(clear.mock.callCount(), 0);
  dead.set(8, { status: 0 });

  process.emit('SIGCHLD', 'SIGCHLD');

  await Promise.all(exited);
  assert.equal(clear.mock.callCount(), 1);
});
