import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Waiters } from './waiters.ts';

test('waits end in the order they began', async () => {
  const waiters = new Waiters<string>();
  const waits = [waiters.wait(undefined), waiters.wait(undefined)];

  assert.equal(waiters.resolveFirst('first'), true);
  assert.equal(waiters.resolveFirst('second'), true);
  assert.equal(waiters.resolveFirst('nobody'), false);

  assert.deepEqual(await Promise.all(waits), ['first', 'second']);
});

test('an aborted waiter gets nothing, not even in the same tick', async () => {
  const waiters = new Waiters<string>();
  const controller = new AbortController();
  const left = waiters.wait(controller.signal);
  const stays = waiters.wait(undefined);

  controller.abort(new Error('bye'));
  waiters.resolveFirst('for who stays');

  await assert.rejects(left, /bye/);
  assert.equal(await stays, 'for who stays');
  assert.equal(waiters.isEmpty, true);
});

test('all waits can be ended at once', async () => {
  const waiters = new Waiters<undefined>();
  const waits = [waiters.wait(undefined), waiters.wait(undefined)];

  waiters.resolveAll(undefined);

  assert.deepEqual(await Promise.all(waits), [undefined, undefined]);
});
