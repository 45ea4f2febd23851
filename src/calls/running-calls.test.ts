import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerCall } from '#rpc/server/server-call';
import { RunningCalls } from './running-calls.ts';

test('calls are listed from their start to their end, the oldest first', () => {
  const running = new RunningCalls();
  const calls = [1, 2, 3, 4].map((startedAtMs) => ({ startedAtMs }) as ServerCall);
  const stages = calls.map((call) => ({ call, stage: running.interceptor(call) }));
  const listed = (): number[] => running.list().map(({ startedAtMs }) => startedAtMs);
  assert.deepEqual(listed(), [1, 2, 3, 4]);

  for (const { call, stage } of stages.slice(0, 2)) void stage?.end?.(call, undefined);

  assert.deepEqual(listed(), [3, 4]);
});
