import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../log/logger.ts';
import type { CgroupStats } from './cgroup-stats.ts';
import { type LoadSample, type LoadThresholds, loadConditions } from './conditions.ts';

const GROUP: CgroupStats = {
  anonBytes: 10,
  memoryLimitBytes: 100,
  oomKills: 1,
  throttledSeconds: 5,
  pressure: { memory: undefined, io: undefined, cpu: undefined },
};
const QUIET: LoadSample = { atMs: 0, cgroup: GROUP, eventLoopDelayMs: 1, heapShare: 0.1 };
const OFF = {
  enabled: false,
  warningThreshold: 10,
  backoffThreshold: 20,
  criticalThreshold: 40,
  sustainDurationSeconds: 20,
  fastFallRatio: 0.5,
};
const DEFAULTS: LoadThresholds = {
  cpuThrottledThreshold: 0,
  memoryThreshold: 0,
  psiPressure: { memory: { ...OFF, enabled: true }, io: OFF, cpu: OFF },
};

function check(current: Partial<LoadSample>, thresholds: LoadThresholds = DEFAULTS) {
  const lines: string[] = [];
  const logger = createLogger({
    format: 'json',
    level: 'info',
    stream: { write: (line) => lines.push(line) },
  });
  const found = loadConditions(thresholds, logger).flatMap((condition) => {
    const backoff = condition.check(QUIET, { ...QUIET, atMs: 10_000, ...current });
    return backoff === undefined ? [] : [`${condition.name} ${backoff.reason}`];
  });
  return { found, logged: lines.map((line) => (JSON.parse(line) as { msg: string }).msg) };
}

const some = (avg60: number) => ({ avg10: 1, avg60 });
const group = (change: Partial<CgroupStats>) => ({ cgroup: { ...GROUP, ...change } });
const NONE: readonly string[] = [];

const CASES: readonly [name: string, sample: Partial<LoadSample>, found: readonly string[]][] = [
  ['a quiet server', {}, NONE],
  ['no control group', { cgroup: undefined }, NONE],
  ['throttled for half of the time', group({ throttledSeconds: 10 }), NONE],
  ['throttled for more than half', group({ throttledSeconds: 10.1 }), ['CgroupCpu condition_cpu_throttling']],
  ['counters that start again', group({ throttledSeconds: 0, oomKills: 0 }), NONE],
  ['memory below the threshold', group({ anonBytes: 59 }), NONE],
  ['memory at the threshold', group({ anonBytes: 60 }), ['CgroupMemory condition_memory_anon']],
  ['memory without a limit', group({ anonBytes: 99, memoryLimitBytes: undefined }), NONE],
  ['a process ended for lack of memory', group({ oomKills: 2 }), ['CgroupMemory condition_memory_oom']],
  ['a delayed event loop', { eventLoopDelayMs: 100 }, ['EventLoop condition_event_loop_delay']],
  ['a full heap', { heapShare: 0.9 }, ['ProcessMemory condition_process_memory']],
  [
    'pressure that is not observed',
    group({ pressure: { memory: undefined, io: some(90), cpu: some(90) } }),
    NONE,
  ],
];
for (const [name, sample, found] of CASES)
  test(`signs of overload: ${name}`, () => {
    assert.deepEqual(check(sample).found, found);
  });

for (const [avg60, found, logged] of [
  [9.9, [], []],
  [10, [], ['PSI pressure above warning threshold']],
  [20, ['CgroupPressure condition_psi_backoff'], ['PSI pressure at backoff threshold']],
  [40, ['CgroupPressure condition_psi_critical'], ['Critical PSI pressure detected']],
] as const)
  test(`memory pressure of ${avg60} %`, () => {
    const result = check(group({ pressure: { ...GROUP.pressure, memory: some(avg60) } }));
    assert.deepEqual(result, { found, logged });
  });

test('thresholds of the configuration take precedence', () => {
  const strict = { ...DEFAULTS, cpuThrottledThreshold: 0.1, memoryThreshold: 0.05 };
  assert.deepEqual(check(group({ throttledSeconds: 6.1 }), strict).found, [
    'CgroupCpu condition_cpu_throttling',
    'CgroupMemory condition_memory_anon',
  ]);
});

test('the log tells how long a pressure lasts, and whether it falls', () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const logger = createLogger({ format: 'json', level: 'info', stream });
  const condition = loadConditions(DEFAULTS, logger).find(({ name }) => name === 'CgroupPressure');
  const sample = (atMs: number, memory: { avg10: number; avg60: number }): LoadSample => ({
    ...QUIET,
    atMs,
    ...group({ pressure: { ...GROUP.pressure, memory } }),
  });
  const samples = [
    sample(0, { avg10: 1, avg60: 12 }),
    sample(10_000, { avg10: 50, avg60: 25 }),
    sample(30_000, { avg10: 26, avg60: 41 }),
    sample(40_000, { avg10: 12, avg60: 21 }),
  ];

  let before = QUIET;
  for (const current of samples) {
    condition?.check(before, current);
    before = current;
  }

  // The names are those of Gitaly 19.0.
  assert.deepEqual(
    lines.map((line) => {
      const fields = JSON.parse(line) as Record<string, unknown>;
      const names = ['severity', 'sustained', 'sustained_seconds', 'above_10s', 'falling_rapidly'];
      return names.map((name) => fields[`psi_${name}`]);
    }),
    [
      ['warning', false, undefined, false, false],
      ['backoff', false, 0, true, false],
      ['critical', true, 20, true, false],
      ['backoff', true, 30, false, true],
    ],
  );
});
