import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BriefMap } from './brief-map.ts';

test('a map has what was set last, until it is deleted', () => {
  const map = new BriefMap<number, { name: string }>();
  map.set(1, { name: 'one' }).set(2, { name: 'two' }).set(1, { name: 'other' });

  const visited: string[] = [];
  map.forEach(({ name }) => {
    visited.push(name);
    map.delete(2);
  });

  assert.deepEqual([map.size, map.get(1)?.name, map.get(2)], [1, 'other', undefined]);
  assert.deepEqual(visited, ['two', 'other']);
  assert.deepEqual([map.delete(1), map.delete(1), map.size], [true, false, 0]);
});
