import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { ErrorThresholds } from './error-thresholds.ts';

// Only the name and the identity of a node matter here.
const [node, other] = [{ storage: 'gitaly-1' }, { storage: 'gitaly-2' }] as GitalyNode[];

test('a node with too many errors in the window is unhealthy until they are older', () => {
  let now = 0;
  const thresholds = new ErrorThresholds({ windowMs: 1000, reads: 3, writes: 2 }, () => now);
  assert.ok(node && other);

  for (now = 0; now < 200; now += 100) thresholds.count(node, 'accessor');
  thresholds.count(node, 'maintenance');
  assert.equal(thresholds.problemOf(node), undefined);
  thresholds.count(node, 'accessor');
  assert.equal(thresholds.problemOf(node), 'read error threshold reached for storage "gitaly-1"');
  assert.equal(thresholds.problemOf(other), undefined);

  now = 1001;
  assert.equal(thresholds.problemOf(node), undefined);

  thresholds.count(node, 'mutator');
  thresholds.count(node, 'mutator');
  assert.equal(thresholds.problemOf(node), 'write error threshold reached for storage "gitaly-1"');
});
