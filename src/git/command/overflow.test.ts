import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { blockFor } from '#testkit/measure/loop-turns';
import { never, until } from '#testkit/until';
import { Overflow, type Place } from './overflow.ts';

const MAX_GITS = Math.max(1, availableParallelism() - 1);
/** Longer than work waits for the loop. */
const PATIENCE_MS = 15;
const signal = new AbortController().signal;

/** Returns an overflow whose loop was busy for 20 ms with each of some pieces of work. */
async function startBusy(): Promise<Overflow> {
  const overflow = new Overflow();
  for (let index = 0; index < 8; index++) {
    using _ = await overflow.place(signal);
    blockFor(20);
  }
  return overflow;
}

/** Waits for places, and notes them in the order in which they come. */
function waitForPlaces(overflow: Overflow, count: number): Place[] {
  const places: Place[] = [];
  for (let index = 0; index < count; index++) void overflow.place(signal).then((place) => places.push(place));
  return places;
}

test('two short pieces of work are on the loop, and the next waits for it', async () => {
  const overflow = new Overflow();
  const [first] = [await overflow.place(signal), await overflow.place(signal)];
  const waiting = waitForPlaces(overflow, 1);
  await never(() => waiting.length > 0, 'a git', 30);

  first?.[Symbol.dispose]();
  await settled();
  assert.deepEqual(
    waiting.map(({ isOnLoop }) => isOnLoop),
    [true],
  );
});

test('git does what waits behind long work, with one processor less than there are', async () => {
  const overflow = await startBusy();
  const places = waitForPlaces(overflow, 2 + MAX_GITS + 1);
  await until(() => places.length === 2 + MAX_GITS);
  const gits = Array.from({ length: MAX_GITS }, () => false);
  assert.deepEqual(
    places.map(({ isOnLoop }) => isOnLoop),
    [true, true, ...gits],
  );

  places.at(-1)?.[Symbol.dispose]();
  await settled();
  assert.equal(places.at(-1)?.isOnLoop, false, 'the next git');
  assert.equal(places.length, 2 + MAX_GITS + 1);
});

test('work that only git can do gives its place on the loop to the next', async () => {
  const overflow = await startBusy();
  const [first] = [await overflow.place(signal), await overflow.place(signal)];
  const waiting = waitForPlaces(overflow, 1 + MAX_GITS);
  first?.moveToGit();
  await until(() => waiting.length === MAX_GITS);
  const gits = Array.from({ length: MAX_GITS - 1 }, () => false);
  assert.deepEqual(
    waiting.map(({ isOnLoop }) => isOnLoop),
    [true, ...gits],
  );

  blockFor(PATIENCE_MS);
  first?.[Symbol.dispose]();
  await settled();
  assert.equal(waiting.at(-1)?.isOnLoop, false, 'in its place');
  assert.equal(waiting.length, 1 + MAX_GITS);
});

test('very long work does not keep its place', async () => {
  const overflow = new Overflow();
  await Promise.all([overflow.place(signal), overflow.place(signal)]);
  assert.equal((await overflow.place(signal)).isOnLoop, true);
});

test('who leaves while waiting gets the reason, and no place', async () => {
  const overflow = new Overflow();
  const [first] = [await overflow.place(signal), await overflow.place(signal)];
  const leaving = new AbortController();
  const left = assert.rejects(overflow.place(leaving.signal), /gone/);
  const waiting = waitForPlaces(overflow, 1);
  leaving.abort(new Error('gone'));
  await left;
  first?.[Symbol.dispose]();
  await settled();
  assert.equal(waiting.length, 1);
  await assert.rejects(overflow.place(leaving.signal), /gone/);
});
