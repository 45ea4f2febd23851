import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarizeSkips, unacceptedSkips } from './skip-reasons.ts';

const skipOf = (reason: string) => ({ file: 'test/a.test.ts', name: 'a', reason });

// Without PostgreSQL nearly all tests of praefect were skipped, and the run passed.
test('only the listed reasons are accepted', () => {
  const [database, none, accepted] = [
    skipOf('PostgreSQL is not installed'),
    skipOf(''),
    skipOf('there is no helm'),
  ];

  assert.deepEqual(unacceptedSkips([database, accepted, none], { isOldGit: true }), [database, none]);
});

// With CI=1, tests of machines without these programs failed the run.
test('programs that a machine need not have are accepted', () => {
  const reasons = ['there is no strace', 'needs gpg', 'needs ssh-keygen', 'git daemon is not installed'];

  assert.deepEqual(unacceptedSkips(reasons.map(skipOf), { isOldGit: false }), []);
});

test('tests of reftable may be skipped with an old git only', () => {
  const skip = skipOf('git of this machine cannot make the template ref-reftable');

  assert.deepEqual(unacceptedSkips([skip], { isOldGit: true }), []);
  assert.deepEqual(unacceptedSkips([skip], { isOldGit: false }), [skip]);
});

test('skipped tests are counted by reason', () => {
  assert.deepEqual(summarizeSkips([skipOf('x'), skipOf(''), skipOf('x')]), [
    '  2 × x',
    '  1 × no reason given',
  ]);
});
