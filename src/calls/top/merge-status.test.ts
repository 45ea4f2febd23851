import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CALL_STATUS, IDLE_STATUS } from '#testkit/values/idle-status';
import { mergeStatus } from './merge-status.ts';
import type { ServerStatus } from './status.ts';

const STATUS: ServerStatus = {
  ...IDLE_STATUS,
  uptime_seconds: 10,
  cpu_seconds: 1.5,
  memory_bytes: 100,
  call_count: 1,
  calls: [CALL_STATUS],
  queues: [{ limit: 'concurrency[0]', method: 'X', repository: '', caller: '', running: 1, waiting: 0 }],
  git: { running_calls: 1, waiting_calls: 2 },
  processes: [{ pid: 8, command: 'git', age_ms: 1, directory: '' }],
  blocked: [{ time: '2026-01-02T03:04:01.000Z', blocked_ms: 5, stack: [] }],
  caches: { hits: 1 },
  counters: [{ title: 'Fetches', kind: 'counter', values: { 'kind="a"': 1 } }],
};

test('the processes of a server add up, and are listed with their numbers', () => {
  const other: ServerStatus = {
    ...STATUS,
    pid: 9,
    cpu_seconds: 2,
    calls: [{ ...CALL_STATUS, age_ms: 5 }],
    queues: [],
    blocked: [{ time: '2026-01-02T03:04:02.000Z', blocked_ms: 6, stack: [] }],
    caches: { hits: 2, misses: 1 },
    counters: [
      { title: 'Fetches', kind: 'counter', values: { 'kind="a"': 2, 'kind="b"': 4 } },
      { title: 'Packs', kind: 'cache', values: {} },
    ],
  };

  const merged = mergeStatus(STATUS, new Map([[3, other]]));

  const { workers, ...rest } = merged;
  assert.deepEqual(rest, {
    ...STATUS,
    cpu_seconds: 3.5,
    memory_bytes: 200,
    call_count: 2,
    calls: [
      { ...CALL_STATUS, age_ms: 5, worker: 3 },
      { ...CALL_STATUS, worker: 0 },
    ],
    git: { running_calls: 2, waiting_calls: 4 },
    processes: [...STATUS.processes, ...STATUS.processes],
    blocked: [...other.blocked, ...STATUS.blocked],
    caches: { hits: 3, misses: 1 },
    counters: [
      { title: 'Fetches', kind: 'counter', values: { 'kind="a"': 3, 'kind="b"': 4 } },
      { title: 'Packs', kind: 'cache', values: {} },
    ],
  });
  const common = { uptime_seconds: 10, memory_bytes: 100, call_count: 1 };
  assert.deepEqual(workers, [
    { worker: 0, pid: 7, cpu_seconds: 1.5, ...common },
    { worker: 3, pid: 9, cpu_seconds: 2, ...common },
  ]);
});

test('fields that only some servers have are those of the first process', () => {
  const webhooks: ServerStatus['webhooks'] = [];

  assert.equal('webhooks' in mergeStatus(STATUS, new Map()), false);
  assert.equal(mergeStatus({ ...STATUS, webhooks }, new Map([[1, STATUS]])).webhooks, webhooks);
});
