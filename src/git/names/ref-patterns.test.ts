import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixesOf } from './ref-patterns.ts';

type Kind = 'whole' | 'path' | 'other';

const prefixes = (...patterns: readonly string[]): [prefix: string, kind: Kind][] =>
  prefixesOf(patterns.map((pattern) => Buffer.from(pattern))).map(({ prefix, isPath, isWhole }) => {
    assert.ok(!(isPath && isWhole));
    return [prefix.toString(), isWhole ? 'whole' : isPath ? 'path' : 'other'];
  });

for (const [patterns, expected] of [
  [['refs/heads/'], [['refs/heads/', 'whole']]],
  [['refs/heads'], [['refs/heads', 'path']]],
  [['refs/heads/a*'], [['refs/heads/a', 'other']]],
  [['refs/heads/*'], [['refs/heads/', 'other']]],
  [
    ['refs/tags/', 'refs/heads/'],
    [
      ['refs/heads/', 'whole'],
      ['refs/tags/', 'whole'],
    ],
  ],
  [['refs/heads/x', 'refs/heads/'], [['refs/heads/', 'whole']]],
  [['refs/heads/*', 'refs/heads/'], [['refs/heads/', 'whole']]],
  [['refs/heads/b', '*'], [['refs/', 'other']]],
  [['re*'], [['refs/', 'other']]],
  [['refs/'], [['refs/', 'whole']]],
  [['HEAD'], []],
  [[''], []],
] as const) {
  test(`the prefixes of ${patterns.join(' and ')}`, () => {
    assert.deepEqual(prefixes(...patterns), expected);
  });
}
