import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { never } from '#testkit/until';
import { Limit, type Turn } from './limit.ts';

const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

test('owners take turns, however much each of them asks for', async () => {
  const limit = new Limit<{ name: string }>({ name: 'calls', capacity: 1 });
  const order: string[] = [];
  const use = async (key: { name: string }): Promise<void> => {
    const { release } = await limit.acquire(key);
    order.push(key.name);
    await Promise.resolve();
    release();
  };

  await Promise.all([use(a), use(a), use(a), use(a), use(b), use(b), use(c)]);

  assert.equal(order.join(''), 'aabcaba');
  assert.deepEqual([limit.inUse, limit.waiting], [0, 0]);
});

test('one owner does not get all of it', async () => {
  const limit = new Limit({ name: 'calls', capacity: 3, capacityPerOwner: 2 });
  const first = await limit.acquire(a);
  await limit.acquire(a);
  const third = limit.acquire(a);

  const other = limit.take(b);

  assert.ok(other);
  first.release();
  assert.ok(await third);
});

test('what needs much gets its turn, and more than there is counts as all of it', async () => {
  const limit = new Limit<{ name: string }>({ name: 'bytes', capacity: 10 });
  const small = await limit.acquire(a, { units: 4 });
  const large = limit.acquire(b, { units: 100 });
  const late = limit.acquire(c, { units: 4 });
  assert.equal(limit.waiting, 2);

  small.release();
  const { release } = await large;

  assert.equal(limit.inUse, 10);
  release();
  release();
  assert.ok(await late);
  assert.equal(limit.inUse, 4);
});

test('a capacity of 0 gives nothing', () => {
  assert.equal(new Limit({ capacity: 0 }).take(a), undefined);
  assert.equal(new Limit({ capacity: 3, capacityPerOwner: 0 }).take(a), undefined);
});

test('who comes when too many wait is refused', async () => {
  const limit = new Limit({ name: 'calls', capacity: 1, maxWaiting: 2, maxWaitingPerOwner: 1 });
  const refusal = { code: 'RESOURCE_EXHAUSTED', message: 'too many calls are waiting' };
  const { release } = await limit.acquire(a);
  const waiting = limit.acquire(a);

  await assert.rejects(limit.acquire(a), refusal);
  const other = limit.acquire(b);
  await assert.rejects(limit.acquire(c), refusal);

  release();
  (await waiting).release();
  (await other).release();
  assert.equal(limit.inUse, 0);
});

test('a wait ends with an abort, or after its time', async () => {
  const limit = new Limit({ name: 'calls', capacity: 1, maxWaitMs: 20 });
  const { release } = await limit.acquire(a);
  const controller = new AbortController();
  const left = limit.acquire(a, controller);
  const late = limit.acquire(b);

  controller.abort(new Error('left'));

  await assert.rejects(left, /^Error: left$/);
  await assert.rejects(late, { code: 'RESOURCE_EXHAUSTED', message: 'calls waited for 20 ms' });
  assert.equal(limit.waiting, 0);
  release();
  await assert.rejects(limit.acquire(a, controller), /^Error: left$/);
});

test('a wait of more than 24 days does not end at once', async () => {
  const limit = new Limit({ name: 'calls', capacity: 1, maxWaitMs: 2 ** 31 });
  const { release } = await limit.acquire(a);
  const waiting = limit.acquire(b);

  await never(() => limit.waiting === 0, 'the end of the wait', 20);

  release();
  assert.ok(await waiting);
});

test('nothing is lost or exceeded, whatever the order of requests and releases', async () => {
  const step = fc.record({
    owner: fc.constantFrom(a, b, c),
    units: fc.integer({ min: 1, max: 5 }),
    leaves: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const limit = new Limit<object>({ name: 'units', capacity: 4, capacityPerOwner: 3 });
      let [served, left, most, mostOfOwner] = [0, 0, 0, 0];
      const held = new Map<object, number>();

      await Promise.all(
        steps.map(async ({ owner, units, leaves }) => {
          const controller = new AbortController();
          if (leaves) setImmediate(() => controller.abort());
          try {
            const { release } = await limit.acquire(owner, { units, signal: controller.signal });
            const ofOwner = (held.get(owner) ?? 0) + Math.min(units, 3);
            held.set(owner, ofOwner);
            [most, mostOfOwner] = [Math.max(most, limit.inUse), Math.max(mostOfOwner, ofOwner)];
            await new Promise(setImmediate);
            held.set(owner, (held.get(owner) ?? 0) - Math.min(units, 3));
            release();
            served++;
          } catch {
            left++;
          }
        }),
      );

      assert.ok(most <= 4 && mostOfOwner <= 3, `${most}, ${mostOfOwner} of one owner`);
      assert.equal(served + left, steps.length);
      assert.ok(steps.some(({ leaves }) => leaves) || left === 0);
      assert.deepEqual([limit.inUse, limit.waiting], [0, 0]);
    }),
    { numRuns: 50 },
  );
});

test('a part of the capacity may be used, which can change', async () => {
  let share = 0.5;
  const limit = new Limit<object>({ name: 'things', capacity: 4, share: () => share });
  const owner = {};
  const [first, second] = [limit.take(owner), limit.take(owner)];
  assert.ok(first && second);
  assert.equal(limit.take(owner), undefined);

  share = 1;
  assert.ok(limit.take(owner) && limit.take(owner));
  assert.equal(limit.take(owner), undefined);
});

const limitOf = (capacityPerOwner: number, maxWaitingPerOwner?: number, maxWaitMs?: number): Limit<string> =>
  new Limit({ capacityPerOwner, maxWaitingPerOwner, maxWaitMs });

test('callers of one key take turns in their order, and other keys do not wait', async () => {
  const limit = limitOf(1);
  const first = await limit.acquire('a');
  const order: string[] = [];
  const turns = ['x', 'y', 'z'].map(async (name) => {
    const turn = await limit.acquire('a');
    order.push(name);
    return turn;
  });
  assert.deepEqual(limit.callers('a'), { holders: 1, waiting: 3 });
  (await limit.acquire('b')).release();

  first.release();
  first.release();
  for (const turn of turns) (await turn).release();

  assert.deepEqual(order, ['x', 'y', 'z']);
  assert.deepEqual(limit.callers('a'), { holders: 0, waiting: 0 });
});

test('a full queue refuses at once, and a wait ends after its time', async () => {
  const limit = limitOf(1, 1, 20);
  await limit.acquire('a');
  const waiting = limit.acquire('a');
  await assert.rejects(limit.acquire('a'), {
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
  const held = await limit.acquire('a');
  const abort = new AbortController();
  const gone = limit.acquire('a', abort);
  const next = limit.acquire('a');
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
          limit.acquire('k', abort).then(
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
  const first = await limit.acquire('a');
  const others = [1, 2, 3].map(() => limit.acquire('a'));
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
