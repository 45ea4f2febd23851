import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startHistories } from '#testkit/repositories/generated/histories-fixture';
import { openRandomRepository } from '#testkit/repositories/generated/open-random-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { testSeed } from '#testkit/test-seed';
import { type ChangedPathsQuery, changedPaths } from './changed-paths.ts';
import { parseRawRecords, type RawRecord } from './parse/raw-records.ts';

const SEED = testSeed();
const { git, root, answered } = await startHistories('changed-paths');
const { repository, ask } = await openRandomRepository(git, join(root, 'r.git'), { seed: SEED, count: 80 });
const FILTER = 'AMDTCR';
/** Outputs of longer queries are not kept, and only those are made in process. */
const AT_ONCE = 20;

type Query = Pick<ChangedPathsQuery, 'comparisons' | 'merges' | 'findRenames'>;

async function found(query: Query): Promise<RawRecord[]> {
  return (await Array.fromAsync(changedPaths(repository, { ...query, filter: FILTER }))).flat();
}

async function saidByGit({ comparisons, merges, findRenames }: Query): Promise<RawRecord[]> {
  const lines = comparisons.map((each) =>
    ('commit' in each ? [each.commit, ...each.parents] : each.trees).join(' '),
  );
  const args = [
    ...['diff-tree', '-z', '--stdin', '-r', '--root', `--diff-filter=${FILTER}`],
    ...(comparisons.every((each) => 'commit' in each) ? [] : ['--no-commit-id']),
    findRenames ? '--find-renames=30%' : '--no-renames',
    ...{ each: ['-m'], all: ['-c'], none: [] }[merges],
  ];
  const input = Buffer.from(`${lines.join('\n')}\n`);
  const output = outputSync('git', args, { cwd: repository.path, env: GIT_ENVIRONMENT, input });
  return (await Array.fromAsync(parseRawRecords([output]))).flat();
}

const commits = ask('rev-list', '--all').split('\n');
const parentsOf = (commit: string): string[] => ask('rev-parse', `${commit}^@`).split('\n').filter(Boolean);
const counts = commits.map((commit) => parentsOf(commit).length);

for (const merges of ['each', 'none'] as const)
  for (const findRenames of [false, true])
    test(`commits are compared with their parents: ${merges}, ${findRenames} (SEED=${SEED})`, async () => {
      for (let at = 0; at < commits.length; at += AT_ONCE) {
        const comparisons = commits.slice(at, at + AT_ONCE).map((commit) => ({ commit, parents: [] }));
        const query = { comparisons, merges, findRenames };
        answered.length = 0;

        assert.deepEqual(await found(query), await saidByGit(query));

        assert.ok(answered.includes('changed_files'), answered.join());
      }
      assert.ok(
        [0, 1, 2].every((count) => counts.includes(count)),
        counts.join(),
      );
    });

test('a merge is compared with all its parents at once by git', async () => {
  const commit = commits[counts.indexOf(2)] ?? '';
  answered.length = 0;
  for (const parents of [[], parentsOf(commit)]) {
    const query = { comparisons: [{ commit, parents }], merges: 'all', findRenames: false } as const;

    assert.deepEqual(await found(query), await saidByGit(query));
  }
  assert.equal(answered.filter((each) => each.startsWith('changed_files by git')).length, 2, answered.join());
});

test('named parents, and trees, are compared instead', async () => {
  const [first = '', second = '', third = ''] = commits;
  const trees = [ask('rev-parse', `${first}^{tree}`), ask('rev-parse', `${third}^{tree}`)] as const;
  for (const comparisons of [
    [{ commit: first, parents: [second] }],
    [{ commit: first, parents: [second, third] }],
    [{ trees }, { commit: second, parents: [] }],
  ]) {
    const query = { comparisons, merges: 'each', findRenames: true } as const;
    answered.length = 0;

    assert.deepEqual(await found(query), await saidByGit(query));

    assert.ok(answered.includes('changed_files'), answered.join());
  }
});
