import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { GoneNodes } from './gone-nodes.ts';

// Only the identity of a node matters here.
const [a, b] = [{ storage: 'a' }, { storage: 'b' }] as [GitalyNode, GitalyNode];
const refused = new GitalyError('UNAVAILABLE', 'refused');

test('a node is gone after two refused checks in a row', () => {
  const gone = new GoneNodes();
  assert.deepEqual([gone.has(a), gone.isSuspected], [false, false]);

  gone.checked(a, refused);
  assert.deepEqual([gone.has(a), gone.isSuspected], [false, true]);
  gone.checked(a, refused);
  assert.deepEqual([gone.has(a), gone.has(b), gone.isSuspected], [true, false, false]);
  gone.checked(a, refused);
  gone.checked(b, refused);
  assert.deepEqual([gone.has(a), gone.has(b), gone.isSuspected], [true, false, true]);
});

test('a node that is late, fails or serves is not gone', () => {
  for (const result of [undefined, new GitalyError('DEADLINE_EXCEEDED', 'late'), new Error('UNAVAILABLE')]) {
    const gone = new GoneNodes();
    gone.checked(a, refused);
    gone.checked(a, result);
    gone.checked(a, refused);
    assert.deepEqual([gone.has(a), gone.isSuspected], [false, true]);
    gone.checked(a, refused);
    assert.equal(gone.has(a), true);
    gone.checked(a, result);
    assert.deepEqual([gone.has(a), gone.isSuspected], [false, false]);
  }
});
