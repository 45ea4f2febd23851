import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MAX_HELD_UP_MS, MAX_TURN_MS, TotalLimit } from './total-limit.ts';

const never = new AbortController().signal;
const computing = () => false;
const heldUp = () => true;

/** Returns a function that moves the clock of this process, and fires the timers of that time. */
function clock(context: TestContext): (byMs: number) => void {
  let now = performance.now();
  context.mock.method(performance, 'now', () => now);
  context.mock.timers.enable({ apis: ['setInterval'] });
  return (byMs) => {
    for (let passed = 0; passed < byMs; passed += 50) {
      now += 50;
      context.mock.timers.tick(50);
    }
  };
}

test('packs whose readers hold git up give their places away, the oldest first', async (context) => {
  const advance = clock(context);
  const repository = '/a.git';
  const limit = new TotalLimit({ name: 'packs', capacity: 3 });
  const releases = [computing, heldUp, heldUp].map((isHeldUp) => limit.take({ repository, isHeldUp }));
  assert.equal(limit.take({ repository, isHeldUp: computing }), undefined);
  const waiting = limit.acquire({ repository, isHeldUp: computing }, { signal: never });
  advance(MAX_HELD_UP_MS);

  const release = await waiting;

  assert.deepEqual([limit.inUse, limit.waiting], [3, 0]);
  releases[1]?.();
  assert.equal(limit.inUse, 3, 'its place has gone already');
  releases[0]?.();
  releases[2]?.();
  release();
  assert.equal(limit.inUse, 0);
});

test('a pack that git computes keeps its place for as long as only its repository waits', async (context) => {
  const advance = clock(context);
  const repository = '/a.git';
  const limit = new TotalLimit({ name: 'packs', capacity: 1 });
  const first = limit.take({ repository, isHeldUp: computing });
  const waiting = limit.acquire({ repository, isHeldUp: computing }, { signal: never });

  advance(20 * MAX_TURN_MS);

  assert.deepEqual([limit.inUse, limit.waiting], [1, 1]);
  first?.();
  (await waiting)();
  assert.equal(limit.inUse, 0);
});

test('a pack whose reader sometimes holds git up keeps its place', async (context) => {
  const advance = clock(context);
  const repository = '/a.git';
  let looks = 0;
  const limit = new TotalLimit({ name: 'packs', capacity: 1 });
  limit.take({ repository, isHeldUp: () => ++looks % 2 === 0 });
  const abort = new AbortController();
  const waiting = limit.acquire({ repository, isHeldUp: computing }, abort);

  advance(20 * MAX_HELD_UP_MS);

  assert.deepEqual([limit.inUse, limit.waiting], [1, 1]);
  abort.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
});

test('a pack that takes long gives its place to another repository', async (context) => {
  const advance = clock(context);
  const repository = '/a.git';
  const limit = new TotalLimit({ name: 'packs', capacity: 2 });
  for (let taken = 0; taken < 2; taken++) limit.take({ repository, isHeldUp: computing });
  const waiting = limit.acquire({ repository: '/b1.git', isHeldUp: computing }, { signal: never });
  advance(MAX_TURN_MS - 500);
  assert.equal(limit.waiting, 1);

  advance(1000);

  await waiting;
  assert.deepEqual([limit.inUse, limit.waiting], [2, 0]);
});

test('a turn lasts as long as nobody waits', async (context) => {
  const advance = clock(context);
  const repository = '/a.git';
  const limit = new TotalLimit({ name: 'packs', capacity: 1 });
  const first = limit.take({ repository, isHeldUp: heldUp });
  const second = limit.acquire({ repository, isHeldUp: heldUp }, { signal: never });
  first?.();
  const release = await second;

  advance(10 * MAX_TURN_MS);

  assert.equal(limit.take({ repository, isHeldUp: heldUp }), undefined);
  assert.equal(limit.inUse, 1);
  release();
});

test('one that waits may leave', async () => {
  const limit = new TotalLimit({ name: 'packs', capacity: 1 });
  limit.take({ repository: '/b2.git', isHeldUp: computing });

  const leaving = limit.acquire(
    { repository: '/b3.git', isHeldUp: computing },
    { signal: AbortSignal.timeout(100) },
  );

  await assert.rejects(leaving, { name: 'TimeoutError' });
  assert.deepEqual([limit.inUse, limit.waiting], [1, 0]);
});
