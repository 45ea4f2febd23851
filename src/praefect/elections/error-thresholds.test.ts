import assert from 'node:assert/strict';
import { test } from 'node:test';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
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

test('an error counts for as long as the window', () => {
  let now = 0;
  const thresholds = new ErrorThresholds({ windowMs: 1000, reads: 1, writes: 1 }, () => now);
  assert.ok(node);
  thresholds.count(node, 'accessor');
  now = 1000;
  assert.notEqual(thresholds.problemOf(node), undefined);
  now = 1001;
  assert.equal(thresholds.problemOf(node), undefined);
});

test('thresholds need a fail-over and a window', () => {
  const virtual_storage = [{ name: 'default', node: [{ storage: 'gitaly-1', address: 'tcp://a:1' }] }];
  const counts = { read_error_threshold_count: 2n, write_error_threshold_count: 1n };
  const thresholdsOf = (failover: object): ErrorThresholds | undefined =>
    ErrorThresholds.of(praefectConfigFrom({ socket_path: '/s', virtual_storage, failover }).config);
  assert.equal(thresholdsOf({ ...counts, enabled: false, error_threshold_window: '1h' }), undefined);
  assert.equal(thresholdsOf({}), undefined);

  const thresholds = thresholdsOf({ ...counts, error_threshold_window: '1h' });
  assert.ok(thresholds && node && other);
  thresholds.count(node, 'accessor');
  thresholds.count(other, 'mutator');

  assert.equal(thresholds.problemOf(node), undefined);
  assert.equal(thresholds.problemOf(other), 'write error threshold reached for storage "gitaly-2"');
});
