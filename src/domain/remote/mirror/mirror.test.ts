import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MirrorQuestion, planMirror } from './mirror-plan.ts';
import { matchMirrored } from './update-mirror.ts';

const question: MirrorQuestion = {
  local: new Map([
    ['refs/heads/a', '1'],
    ['refs/heads/main', '2'],
    ['refs/heads/same', '3'],
    ['refs/tags/new', '4'],
  ]),
  remote: new Map([
    ['refs/heads/a', 'old'],
    ['refs/heads/main', 'foreign'],
    ['refs/heads/same', '3'],
    ['refs/heads/merged', 'old'],
    ['refs/heads/unmerged', 'foreign'],
  ]),
  defaultBranch: 'refs/heads/main',
  keepsDivergent: false,
  isWanted: () => true,
  isAncestor: async (oid) => oid === 'old',
};

test('all differences are pushed, the default branch first; merged branches are deleted', async () => {
  assert.deepEqual(await planMirror(question), {
    refspecs: ['refs/heads/main', 'refs/heads/a', 'refs/tags/new', ':refs/heads/merged'],
    divergent: [],
  });
});

test('references with other commits are kept and named, and nothing is deleted', async () => {
  assert.deepEqual(await planMirror({ ...question, keepsDivergent: true }), {
    refspecs: ['refs/heads/a', 'refs/tags/new'],
    divergent: ['refs/heads/main'],
  });
});

test('nothing is deleted without a default branch', async () => {
  const { refspecs } = await planMirror({ ...question, defaultBranch: 'refs/heads/none' });

  assert.deepEqual([...refspecs].sort(), ['refs/heads/a', 'refs/heads/main', 'refs/tags/new']);
});

test('at most 100 references are named', async () => {
  const names = Array.from({ length: 150 }, (_, index) => `refs/heads/${index}`);
  const local = new Map(names.map((name) => [name, 'ours']));
  const remote = new Map(names.map((name) => [name, 'foreign']));

  const { divergent } = await planMirror({ ...question, local, remote, keepsDivergent: true });

  assert.equal(divergent.length, 100);
});

for (const [pattern, branch, matches] of [
  ['main', 'main', true],
  ['main', 'main2', false],
  ['ma.n', 'main', false],
  ['*', 'a/b', true],
  ['release/*', 'release/1/x', true],
  ['release/*', 'release', false],
  ['*-stable', '1-stable', true],
  ['a*b*c', 'a-b-c', true],
  ['a*b*c', 'acb', false],
  ['ab*ba', 'aba', false],
  ['a**b', 'ab', true],
] as const)
  test(`${pattern} ${matches ? 'matches' : 'does not match'} the branch ${branch}`, () => {
    assert.equal(matchMirrored([pattern])(`refs/heads/${branch}`), matches);
  });

test('tags always match, other references never', () => {
  const test = matchMirrored(['x']);

  assert.deepEqual(['refs/tags/v1', 'refs/keep-around/1', 'HEAD'].map(test), [true, false, false]);
  assert.equal(matchMirrored([])('refs/heads/any'), true);
});

test('many stars are matched quickly', () => {
  const isMatch = matchMirrored([`${'*a'.repeat(5_000)}*b`]);

  assert.equal(isMatch(`refs/heads/${'a'.repeat(100_000)}`), false);
});

test('others get their turns while many names are compared with many patterns', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `refs/heads/${index}`);
  const isWanted = (): boolean => {
    const endsAt = performance.now() + 1;
    while (performance.now() < endsAt);
    return true;
  };
  let turns = 0;
  const other = setInterval(() => turns++, 1);

  await planMirror({ ...question, local: new Map(names.map((name) => [name, 'ours'])), isWanted });

  clearInterval(other);
  assert.ok(turns >= 10, `${turns} turns`);
});
