import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideStart, type MaintenanceMoment, maxWaitMs } from './decide-start.ts';

const QUIET_HOST = { calls: 0, busyCalls: 4, eventLoopDelayMs: 0, cpuPressure: 0 };
const QUIET: MaintenanceMoment = {
  nowMs: 10_000,
  dueSinceMs: 9_000,
  lastBusyMs: 9_600,
  calls: 0,
  debt: 0,
  host: QUIET_HOST,
};
const MINUTE_MS = 60_000;

const busyHost = (load: Partial<MaintenanceMoment['host']>): MaintenanceMoment => ({
  ...QUIET,
  host: { ...QUIET_HOST, ...load },
});

const CASES: readonly (readonly [string, MaintenanceMoment, string, number?])[] = [
  ['400 ms after the last call', QUIET, 'run quiet'],
  ['sooner after it', { ...QUIET, lastBusyMs: 9_601 }, 'wait recent-writes', 10_001],
  [
    'sooner after it, just before the bound',
    { ...QUIET, lastBusyMs: 608_900, nowMs: 608_950 },
    'wait recent-writes',
    609_000,
  ],
  ['during a call', { ...QUIET, calls: 1 }, 'wait calls', 609_000],
  ['during a call, just before the bound', { ...QUIET, calls: 1, nowMs: 608_999 }, 'wait calls', 609_000],
  ['during a call, at the bound', { ...QUIET, calls: 1, nowMs: 609_000 }, 'run overdue'],
  ['many writes shorten the bound', { ...QUIET, calls: 1, debt: 1000 }, 'wait calls', 309_000],
  ['at the shorter bound', { ...QUIET, calls: 1, debt: 1000, nowMs: 309_000 }, 'run overdue'],
  ['the shortest bound', { ...QUIET, calls: 1, debt: 1e9, nowMs: 69_000 }, 'run overdue'],
  ['beside calls of others', busyHost({ calls: 4 }), 'wait host-calls', 19_600],
  ['beside few calls of others', busyHost({ calls: 3 }), 'run quiet'],
  ['while the event loop is late', busyHost({ eventLoopDelayMs: 20 }), 'wait event-loop', 19_600],
  ['while processes wait for a CPU', busyHost({ cpuPressure: 40 }), 'wait cpu-pressure', 19_600],
  ['without a known pressure', busyHost({ cpuPressure: undefined }), 'run quiet'],
  [
    'beside calls of others, just before the bound',
    { ...busyHost({ calls: 4 }), lastBusyMs: 608_000, nowMs: 608_500 },
    'wait host-calls',
    609_000,
  ],
  ['at the bound of a busy host', { ...busyHost({ calls: 4 }), nowMs: 19_600 }, 'run overdue'],
];

for (const [name, moment, expected, untilMs] of CASES)
  test(`the start of maintenance: ${name}`, () => {
    const decision = decideStart(moment);
    assert.equal(`${decision.kind} ${decision.reason}`, expected);
    assert.equal(decision.kind === 'wait' ? decision.untilMs : undefined, untilMs);
  });

test('the longest wait is ten minutes, and one minute with many writes', () => {
  assert.deepEqual(
    [0, 1, 500, 1000, 5000, 1e9].map((debt) => maxWaitMs(debt) / MINUTE_MS),
    [10, 10, 10, 5, 1, 1],
  );
});
