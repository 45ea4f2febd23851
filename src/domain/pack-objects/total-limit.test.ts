import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MAX_TURN_MS, TotalLimit } from './total-limit.ts';

const never = new AbortController().signal;

/** Moves the clock of this process forward. */
function advance(context: TestContext, byMs: number): void {
  const now = performance.now.bind(performance);
  context.mock.method(performance, 'now', () => now() + byMs);
}

test('a turn that lasts long ends when others wait, the oldest one first', async (context) => {
  const limit = new TotalLimit({ name: 'packs', capacity: 2 });
  const releases = [limit.tryAcquire({}), limit.tryAcquire({})];
  assert.equal(limit.tryAcquire({}), undefined);
  const waiting = limit.acquire({}, { signal: never });
  advance(context, MAX_TURN_MS);

  const release = await waiting;

  assert.deepEqual([limit.inUse, limit.waiting], [2, 0]);
  releases[0]?.();
  assert.equal(limit.inUse, 2, 'its place has gone already');
  releases[1]?.();
  release();
  assert.equal(limit.inUse, 0);
});

test('a turn lasts as long as nobody waits', async (context) => {
  const limit = new TotalLimit({ name: 'packs', capacity: 1 });
  const first = limit.tryAcquire({});
  const second = limit.acquire({}, { signal: never });
  first?.();
  const release = await second;
  advance(context, 10 * MAX_TURN_MS);

  assert.equal(limit.tryAcquire({}), undefined);
  assert.equal(limit.inUse, 1);
  release();
});

test('a short turn is waited for, and one that waits may leave', async () => {
  const limit = new TotalLimit({ name: 'packs', capacity: 1 });
  limit.tryAcquire({});

  await assert.rejects(limit.acquire({}, { signal: AbortSignal.timeout(600) }), { name: 'TimeoutError' });
  assert.deepEqual([limit.inUse, limit.waiting], [1, 0]);
});
