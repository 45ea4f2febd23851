import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessStart } from '#git/command/process/start-process';
import type { ServerCall } from '#rpc/server/server-call';
import { RunningCalls } from './running-calls.ts';

test('calls are listed from their start to their end, the oldest first', async () => {
  const running = new RunningCalls();
  const calls = [1, 2, 3, 4].map((startedAtMs) => ({ startedAtMs }) as ServerCall);
  const stages = [];
  for (const call of calls) stages.push({ call, stage: await running.interceptor(call) });
  const listed = (): number[] => running.list().map(({ startedAtMs }) => startedAtMs);
  assert.deepEqual(listed(), [1, 2, 3, 4]);

  for (const { call, stage } of stages.slice(0, 2)) await stage?.end?.(call, undefined);

  assert.deepEqual(listed(), [3, 4]);
});

test('calls and git commands are work, except for those that wait', async () => {
  const running = new RunningCalls();
  const isWorkingDuring = async (name: string): Promise<boolean> => {
    const call = { method: { name } } as ServerCall;
    const stage = await running.interceptor(call);
    const { isWorking } = running;
    await stage?.end?.(call, undefined);
    return isWorking;
  };
  const isWorkingBeside = (subcommand: string): boolean => {
    const end = running.processStarted(undefined, { subcommand } as ProcessStart);
    const { isWorking } = running;
    end();
    return isWorking;
  };

  assert.deepEqual(
    [await isWorkingDuring('RestoreRepository'), await isWorkingDuring('Watch')],
    [true, false],
  );
  assert.deepEqual(['fetch', 'repack', 'cat-file', 'update-ref'].map(isWorkingBeside), [
    true,
    true,
    false,
    false,
  ]);
  assert.equal(running.isWorking, false);
});
