import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abortable } from './abortable.ts';

test('a promise that settles before the abort determines the result', async () => {
  const { signal } = new AbortController();

  assert.equal(await abortable(Promise.resolve(7), signal), 7);
  await assert.rejects(abortable(Promise.reject(new Error('lost')), signal), { message: 'lost' });
});

test('an abort ends the wait, before it starts and while it lasts', async () => {
  const early = AbortSignal.abort(new Error('gone'));
  await assert.rejects(abortable(new Promise(() => {}), early), { message: 'gone' });

  const late = new AbortController();
  const waiting = abortable(new Promise(() => {}), late.signal, () => new Error('in other words'));
  late.abort();
  await assert.rejects(waiting, { message: 'in other words' });
});

test('a promise that fails after the abort causes no unhandled rejection', async () => {
  const abort = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const waiting = abortable(promise, abort.signal);
  abort.abort(new Error('gone'));

  await assert.rejects(waiting, { message: 'gone' });
  reject(new Error('late'));
  await new Promise(setImmediate);
});
