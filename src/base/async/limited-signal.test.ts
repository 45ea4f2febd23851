import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { test } from 'node:test';
import { limitedSignal } from './limited-signal.ts';

test('aborting the other signal aborts it with the same reason, at once or later', () => {
  const controller = new AbortController();
  using before = limitedSignal(60_000, controller.signal);
  assert.equal(before.signal.aborted, false);
  controller.abort(new Error('enough'));
  using after = limitedSignal(60_000, controller.signal);

  assert.equal(before.signal.reason.message, 'enough');
  assert.equal(after.signal.reason.message, 'enough');
});

test('a timeout aborts it with a TimeoutError', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  using limited = limitedSignal(5000);
  const aborted = once(limited.signal, 'abort');

  t.mock.timers.tick(4999);
  assert.equal(limited.signal.aborted, false);
  t.mock.timers.tick(1);

  await aborted;
  assert.equal(limited.signal.reason.name, 'TimeoutError');
});

test('disposing it leaves no timer and no listener', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const controller = new AbortController();
  const limited = limitedSignal(5000, controller.signal);

  limited[Symbol.dispose]();
  t.mock.timers.tick(5000);
  controller.abort();

  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  assert.equal(limited.signal.aborted, false);
});

test('more time puts the timeout off', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  using limited = limitedSignal(5000);

  limited.extend(2000);
  t.mock.timers.tick(4000);
  limited.extend(1000);
  t.mock.timers.tick(1000);
  t.mock.timers.tick(2999);
  assert.equal(limited.signal.aborted, false);
  t.mock.timers.tick(1);

  assert.equal(limited.signal.reason.name, 'TimeoutError');
});
