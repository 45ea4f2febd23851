import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import { IncomingFrames } from '#rpc/common/grpc/incoming-frames';
import { replaceMethod } from '#testkit/replace-method';
import { CommitService } from '#wire/gen/commit_pb';
import { methodInfo } from '#wire/method-info';
import { ConnectionRequestLimits, RequestLimits } from '../request-limits.ts';
import { rawRoute } from '../route.ts';
import { RequestReader } from './request-reader.ts';

/**
 * Reads messages that have arrived, each of which takes some milliseconds, and returns how many
 * were read in each iteration of the event loop.
 */
async function readInTurns(context: TestContext, count: number, eachMs: number): Promise<number[]> {
  let nowMs = 0;
  replaceMethod(context, performance, 'now', () => nowMs);
  const limits = new ConnectionRequestLimits(new RequestLimits());
  const incoming = new IncomingFrames({ pause: () => {}, resume: () => {} }, 1024, limits);
  for (let index = 0; index < count; index++)
    for (const piece of encodeFrame([Buffer.from([index])])) incoming.receive(Buffer.from(piece));
  incoming.end();
  const reader = new RequestReader({
    route: rawRoute({
      method: methodInfo(CommitService.method.checkObjectsExist),
      handler: async function* () {},
    }),
    incoming,
    limits,
    context: { signal: new AbortController().signal },
    onFirstRequest: (message) => message,
  });
  const read = [0];
  const nextTurn = (): void => {
    read.push(0);
    watch = setImmediate(nextTurn);
  };
  let watch = setImmediate(nextTurn);

  for await (const message of reader.all()) {
    assert.ok(Buffer.isBuffer(message));
    read.push((read.pop() ?? 0) + 1);
    nowMs += eachMs;
  }

  clearImmediate(watch);
  return read.filter((messages) => messages > 0);
}

// Symptom: 1,000 messages of FilterShasWithSignatures with 100 ids blocked the loop for 150 ms.
test('messages that were read at once let other work run after some that take long', async (context) => {
  const turns = await readInTurns(context, 100, 1);

  assert.equal(
    turns.reduce((sum, messages) => sum + messages),
    100,
  );
  assert.ok(Math.max(...turns) <= 16, `${turns}`);
});

test('messages that take no time are read in one turn', async (context) => {
  assert.deepEqual(await readInTurns(context, 100, 0), [100]);
});
