import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Occurrences } from './occurrences.ts';

test('a key is forgotten between one and two periods after its first occurrence', () => {
  let now = 0;
  const occurrences = new Occurrences(10, () => now);
  const countAt = (time: number): number => {
    now = time;
    return occurrences.count('key');
  };

  assert.deepEqual([countAt(0), countAt(9), countAt(10), countAt(19)], [0, 1, 2, 3]);
  assert.equal(countAt(20), 4);
  // The counts of a time that ended a whole period ago are gone.
  assert.equal(countAt(40), 0);
  assert.equal(countAt(41), 1);
  assert.equal(countAt(59), 2);
});

test('too many keys end a period early, and are forgotten with the next', () => {
  const occurrences = new Occurrences(10, () => 0);
  const countOthers = (name: string): void => {
    for (let index = 1; index < 50_000; index++) occurrences.count(`${name}${index}`);
  };
  occurrences.count('key');

  countOthers('a');
  assert.equal(occurrences.count('key'), 1);
  countOthers('b');
  occurrences.count('last');

  assert.equal(occurrences.count('a1'), 0);
});
