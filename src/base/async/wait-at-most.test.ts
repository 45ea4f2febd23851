import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitAtMost } from './wait-at-most.ts';

const never = new Promise<never>(() => {});
const late = (): never => {
  throw new Error('too late');
};

test('a promise that settles in time determines the result', async () => {
  assert.equal(await waitAtMost(Promise.resolve(7), 60_000, late), 7);
  await assert.rejects(waitAtMost(Promise.reject(new Error('lost')), 60_000, late), { message: 'lost' });
});

test('a promise that takes longer gives what the caller chose, or its error', async () => {
  assert.equal(await waitAtMost(never, 1, () => 'late'), 'late');
  await assert.rejects(waitAtMost(never, 1, late), { message: 'too late' });
});

test('a promise that fails too late causes no unhandled rejection', async () => {
  const { promise, reject } = Promise.withResolvers<never>();

  assert.equal(await waitAtMost(promise, 1), undefined);
  reject(new Error('nobody waits'));
  await new Promise(setImmediate);
});
