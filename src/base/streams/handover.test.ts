import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Handover, ReaderGoneError } from './handover.ts';

test('a writer waits until its item has been taken', async () => {
  const handover = new Handover<number>();
  let taken = false;
  const put = handover.put(1).then(() => {
    taken = true;
  });

  await setImmediate();
  assert.equal(taken, false);
  assert.deepEqual(await handover.next(), { done: false, value: 1 });
  await put;
});

test('items of several writers arrive in order, then the end', async () => {
  const handover = new Handover<string>();
  const puts = [handover.put('a'), handover.put('b')];
  handover.end();

  const items: string[] = [];
  for await (const item of handover) items.push(item);

  assert.deepEqual(items, ['a', 'b']);
  await Promise.all(puts);
});

test('a waiting reader receives the next item, the end or the error', async () => {
  const handover = new Handover<number>();
  const first = handover.next();
  await handover.put(7);
  assert.deepEqual(await first, { done: false, value: 7 });

  const second = handover.next();
  handover.fail(new Error('broken'));
  await assert.rejects(second, { message: 'broken' });
  assert.deepEqual(await handover.next(), { done: true, value: undefined });
});

test('an error arrives after the items before it', async () => {
  const handover = new Handover<number>();
  handover.put(1).catch(() => {});
  handover.fail(new Error('broken'));

  assert.deepEqual(await handover.next(), { done: false, value: 1 });
  await assert.rejects(handover.next(), { message: 'broken' });
});

test('writers stop waiting when the reader leaves', async () => {
  const handover = new Handover<number>();
  const put = handover.put(1);

  await handover.return();

  await assert.rejects(put, ReaderGoneError);
  await assert.rejects(handover.put(2), ReaderGoneError);
  assert.deepEqual(await handover.next(), { done: true, value: undefined });
});
