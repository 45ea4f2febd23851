import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachRef, maxCpuSecondsOf, type RefQuery } from './for-each-ref.ts';

/** Returns the words between the format and the patterns. */
function words(query: Omit<RefQuery, 'patterns'>, knowsExclude = true): string[] {
  const command = forEachRef({ patterns: ['refs/x'], ...query }, '%(refname)', { knowsExclude });
  const all = command.words.map(String);
  assert.deepEqual(all.slice(0, 2), ['for-each-ref', '--format=%(refname)']);
  assert.deepEqual(all.slice(-2), ['--end-of-options', 'refs/x']);
  return all.slice(2, -2);
}

for (const [query, expected] of [
  [{}, []],
  [{ sort: '-refname' }, ['--sort=-refname']],
  [{ ignoreCase: true }, ['--ignore-case']],
  [{ ignoreCase: false }, []],
  [{ pointsAt: ['a', 'b'] }, ['--points-at', 'a', '--points-at', 'b']],
  [{ contains: 'a' }, ['--contains=a']],
  [{ merged: 'a' }, ['--merged=a']],
  [{ limit: 3 }, ['--count', '3']],
  [{ exclude: [Buffer.from('refs/y')] }, ['--exclude=refs/y']],
] as const) {
  test(`${JSON.stringify(query)} is asked as ${expected.join(' ')}`, () => {
    assert.deepEqual(words(query), expected);
  });
}

test('a git without exclusion is not asked to exclude', () => {
  assert.deepEqual(words({ exclude: [Buffer.from('refs/y')] }, false), []);
});

test('only many patterns, or long ones, limit the time of git', () => {
  const queries: readonly (readonly [RefQuery, number | undefined])[] = [
    [{ patterns: Array(256).fill('refs/x') }, undefined],
    [{ patterns: Array(256).fill('refs/x'), exclude: [Buffer.from('refs/y')] }, 30],
    [{ patterns: ['a'.repeat(8192)] }, undefined],
    [{ patterns: ['a'.repeat(8192)], exclude: [Buffer.from('b')] }, 30],
  ];
  for (const [query, expected] of queries) assert.equal(maxCpuSecondsOf(query), expected);
});
