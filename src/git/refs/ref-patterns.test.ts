import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixesOf } from './ref-patterns.ts';

const prefixes = (...patterns: readonly string[]): [prefix: string, isWhole: boolean][] =>
  prefixesOf(patterns.map((pattern) => Buffer.from(pattern))).map(({ prefix, isWhole }) => [
    prefix.toString(),
    isWhole,
  ]);

for (const [patterns, expected] of [
  [['refs/heads/'], [['refs/heads/', true]]],
  [['refs/heads'], [['refs/heads', false]]],
  [['refs/heads/a*'], [['refs/heads/a', false]]],
  [['refs/heads/*'], [['refs/heads/', false]]],
  [
    ['refs/tags/', 'refs/heads/'],
    [
      ['refs/heads/', true],
      ['refs/tags/', true],
    ],
  ],
  [['refs/heads/x', 'refs/heads/'], [['refs/heads/', true]]],
  [['refs/heads/*', 'refs/heads/'], [['refs/heads/', true]]],
  [['refs/heads/b', '*'], [['refs/', false]]],
  [['re*'], [['refs/', false]]],
  [['refs/'], [['refs/', true]]],
  [['HEAD'], []],
  [[''], []],
] as const) {
  test(`the prefixes of ${patterns.join(' and ')}`, () => {
    assert.deepEqual(prefixes(...patterns), expected);
  });
}
