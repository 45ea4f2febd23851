import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BundlePatterns } from './bundle-patterns.ts';

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)];

function collected(...patterns: readonly string[]): BundlePatterns {
  const all = new BundlePatterns('sha1');
  for (const pattern of patterns) all.add(Buffer.from(pattern));
  return all;
}

function listed(patterns: BundlePatterns): string[] {
  return patterns.list().map((pattern) => Buffer.from(pattern).toString());
}

test('all references and ids are a selection, whatever their order', () => {
  const patterns = collected(`^${B}`, '--all', A, A);

  const { added = [], excluded = [] } = patterns.selection ?? {};
  assert.deepEqual([...added], [A]);
  assert.deepEqual([...excluded], [B]);
  assert.deepEqual(listed(patterns), ['--all', A, `^${B}`]);
});

test('ids without all references are for git', () => {
  const patterns = collected(A, `^${B}`);

  assert.equal(patterns.selection, undefined);
  assert.deepEqual(listed(patterns), [A, `^${B}`]);
});

test('from the first other pattern on, the order stays', () => {
  for (const other of ['main', '--not', 'A'.repeat(40), 'a'.repeat(64), '']) {
    const patterns = collected('--all', other, A, '--all', `^${B}`);

    assert.equal(patterns.selection, undefined);
    assert.deepEqual(listed(patterns), ['--all', other, A, '--all', `^${B}`]);
  }
});
