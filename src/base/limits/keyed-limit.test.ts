import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { KeyedLimit, type Turn } from './keyed-limit.ts';

const { signal } = new AbortController();
const limitOf = (maxConcurrency: number, maxQueueSize = 0, maxWaitMs = 0): KeyedLimit =>
  new KeyedLimit({ maxConcurrency, maxQueueSize, maxWaitMs });

test('callers of one key take turns in their order, and other keys do not wait', async () => {
  const limit = limitOf(1);
  const first = await limit.acquire('a', signal);
  const order: string[] = [];
  const turns = ['x', 'y', 'z'].map(async (name) => {
    const turn = await limit.acquire('a', signal);
    order.push(name);
    return turn;
  });
  assert.deepEqual(limit.callers('a'), { holders: 1, waiting: 3 });
  (await limit.acquire('b', signal)).release();

  first.release();
  first.release();
  for (const turn of turns) (await turn).release();

  assert.deepEqual(order, ['x', 'y', 'z']);
  assert.deepEqual(limit.callers('a'), { holders: 0, waiting: 0 });
});

test('a full queue refuses at once, and a wait ends after its time', async () => {
  const limit = limitOf(1, 1, 20);
  await limit.acquire('a', signal);
  const waiting = limit.acquire('a', signal);
  await assert.rejects(limit.acquire('a', signal), {
    reason: 'max_size',
    message: 'maximum queue size reached',
  });
  await assert.rejects(waiting, {
    reason: 'max_time',
    message: 'maximum time in concurrency queue reached',
  });
  assert.deepEqual(limit.callers('a'), { holders: 1, waiting: 0 });
});

test('a caller that leaves gives up its place', async () => {
  const limit = limitOf(1);
  const held = await limit.acquire('a', signal);
  const abort = new AbortController();
  const gone = limit.acquire('a', abort.signal);
  const next = limit.acquire('a', signal);
  abort.abort(new Error('context canceled'));
  await assert.rejects(gone, {
    reason: 'other',
    message: 'unexpected error when dequeueing request: context canceled',
  });
  held.release();
  (await next).release();
  assert.deepEqual(limit.callers('a'), { holders: 0, waiting: 0 });
});

test('never more than the limit hold a key, whatever callers do', async () => {
  const steps = fc.array(fc.constantFrom('acquire', 'release', 'leave', 'turn'), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (actions, max) => {
      const limit = limitOf(max, 5);
      const held: Turn[] = [];
      const waiting: AbortController[] = [];
      for (const action of actions) {
        if (action === 'acquire') {
          const abort = new AbortController();
          waiting.push(abort);
          limit.acquire('k', abort.signal).then(
            (turn) => {
              held.push(turn);
              assert.ok(held.length <= max);
            },
            () => {},
          );
        } else if (action === 'release') held.shift()?.release();
        else if (action === 'leave') waiting.shift()?.abort();
        else await new Promise(setImmediate);
        assert.ok(limit.callers('k').holders <= max);
        assert.ok(limit.callers('k').waiting <= 5);
      }
      await new Promise(setImmediate);
      while (held.length > 0) {
        held.shift()?.release();
        await new Promise(setImmediate);
      }
      assert.deepEqual(limit.callers('k'), { holders: 0, waiting: 0 });
    }),
  );
});

test('a raised limit admits those who wait, a lowered one waits for holders to end', async () => {
  const limit = limitOf(1);
  const first = await limit.acquire('a', signal);
  const others = [1, 2, 3].map(() => limit.acquire('a', signal));
  limit.resize(3);
  assert.deepEqual(limit.callers('a'), { holders: 3, waiting: 1 });

  limit.resize(1);
  first.release();
  (await others[0])?.release();
  assert.deepEqual(limit.callers('a'), { holders: 1, waiting: 1 });
  (await others[1])?.release();
  assert.deepEqual(limit.callers('a'), { holders: 1, waiting: 0 });
  (await others[2])?.release();
  assert.deepEqual(limit.callers('a'), { holders: 0, waiting: 0 });
});
