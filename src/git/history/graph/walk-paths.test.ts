import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAtLeast } from '#git/command/capabilities';
import { fc } from '#testkit/fast-check';
import { randomSelection, startHistories } from '#testkit/repositories/generated/histories-fixture';
import { createRandomRepository } from '#testkit/repositories/generated/random-repository';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { testedGit } from '#testkit/repositories/run-git';
import { repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { PATH_CHANGES_LIMITS } from '../path-changes.ts';
import { recentCommits } from '../recent-commits.ts';
import { hasNone, pathKeys } from './path-filters.ts';

const { git, root } = await startHistories('walk-paths');

const COMMITS = 60;
const FILES = ['a', 'd-x', 'd/e/z', 'd', 'd/x', 'd/e', 'é/ü', 'é/v', 'é', 'long-name/x'];
const PATHS = [...FILES, '.', 'nope', 'a/b', 'é/nope', 'long-name'];
/** Since git 2.46 a second version of the hash treats other bytes than ASCII alike on all machines. */
const VERSIONS = isAtLeast(testedGit(), { major: 2, minor: 46 }) ? ['1', '2'] : ['1'];
let made = 0;

const lines = (text: string): string[] => text.split('\n').filter(Boolean);

/** Creates a bare repository with a change of one file in each commit of `main`. */
function importChanges(files: readonly string[]): string {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const stream = files.flatMap((file, index) => [
    ...['commit refs/heads/main', `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', ''],
    ...[`M 100644 inline ${file}`, 'data 4', String(1000 + index)],
  ]);
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], `${stream.join('\n')}\n`);
  return path;
}

/** Returns the ids of the commits of `main` that change a file; `undefined` if git has to list them. */
async function history(path: string, file: string): Promise<string[] | undefined> {
  const all = { revisions: ['main'], skip: 0, maxCount: undefined, firstParent: false };
  const found = await recentCommits(git.open(path), { ...all, paths: [Buffer.from(file)] });
  return found?.map(({ oid }) => oid);
}

test('histories of paths with filters are those that git lists, in its order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 0, max: 0xffffffff }),
        objectFormat: fc.constantFrom('sha1' as const, 'sha256' as const),
        version: fc.constantFrom(...VERSIONS),
        /** Commits in the first of two layers; the last ones are in none. */
        first: fc.integer({ min: 1, max: COMMITS - 2 }),
        hasFirstFilters: fc.boolean(),
      }),
      fc.array(
        fc.record({
          ...randomSelection(COMMITS),
          paths: fc.array(fc.constantFrom(...PATHS), { minLength: 1, maxLength: 3 }),
          isOne: fc.boolean(),
        }),
        { minLength: 20, maxLength: 20 },
      ),
      async ({ version, first, hasFirstFilters, ...kind }, selections) => {
        const path = join(root, `${made++}.git`);
        const ask = createRandomRepository(path, { ...kind, count: COMMITS, paths: FILES });
        const write = (last: number, filters: string): void => {
          const oids = ask('rev-list', ...Array.from({ length: last }, (_, index) => `c${index + 1}`));
          const setting = ['-c', `commitGraph.changedPathsVersion=${version}`];
          const options = ['--stdin-commits', '--split=no-merge', filters];
          gitOutput(path, [...setting, 'commit-graph', 'write', ...options], `${oids}\n`);
        };
        write(first, hasFirstFilters ? '--changed-paths' : '--no-changed-paths');
        write(COMMITS - 1, '--changed-paths');
        const repository = git.open(path);
        await until(() => repository.commits.graph !== undefined);
        assert.equal(repository.commits.graph?.hasFilters, true);

        for (const { paths, isOne, ...query } of selections) {
          const { firstParent, skip, maxCount, maxParents, reverse } = query;
          const revisions = isOne ? [`c${COMMITS - (skip % 2)}`] : query.revisions;
          const options = [
            ...(firstParent ? ['--first-parent'] : []),
            ...(maxCount === undefined ? [] : [`--max-count=${maxCount}`]),
            ...(skip > 0 ? [`--skip=${skip}`] : []),
            ...(maxParents > 0 ? [`--max-parents=${maxParents}`] : []),
            ...(reverse ? ['--reverse'] : []),
          ];

          const names = paths.map((name) => Buffer.from(name));
          const found = await recentCommits(repository, { ...query, revisions, paths: names });

          assert.deepEqual(
            found?.map(({ oid }) => oid),
            lines(ask('rev-list', ...options, ...revisions, '--', ...paths)),
            `${revisions.join(' ')} -- ${paths.join(' ')}`,
          );
        }
      },
    ),
    { numRuns: repetitions('FILTERED_HISTORIES', { short: 6, long: 150 }) },
  );
});

test('a history is found without the trees of commits that change other files', async () => {
  const { reads } = PATH_CHANGES_LIMITS;
  // Two trees are read of the parent of each commit with a change, and none of the commit.
  const files = Array.from({ length: 2 * reads }, (_, index) => (index % 5 === 0 ? 'd/a' : 'd/b'));
  const path = importChanges(files);
  const expected = lines(gitOutput(path, ['rev-list', 'main', '--', 'd/a']));
  assert.ok(expected.length * 2 < reads && expected.length * 4 > reads);
  assert.equal(await history(path, 'd/a'), undefined);
  gitOutput(path, ['commit-graph', 'write', '--reachable', '--changed-paths']);
  await until(() => git.open(path).commits.graph?.hasFilters === true);

  // The first walks end where many trees are not cached.
  await until(async () => (await history(path, 'd/a')) !== undefined);
  assert.deepEqual(await history(path, 'd/a'), expected);
});

test('a filter that is missing, damaged or of an unknown version excludes no path', () => {
  const keys = [pathKeys(Buffer.from('d/a'))];
  const filters = (ends: readonly number[], version = 1) => {
    const data = Buffer.alloc(12 + 4);
    for (const [index, value] of [version, 7, 10].entries()) data.writeUInt32BE(value, 4 * index);
    const places = Buffer.alloc(4 * ends.length);
    for (const [index, end] of ends.entries()) places.writeUInt32BE(end, 4 * index);
    return { ends: places, data };
  };

  assert.equal(hasNone(filters([2, 4]), 1, keys), true); // all bits are 0
  assert.equal(hasNone(filters([2, 2]), 1, keys), false);
  assert.equal(hasNone(filters([4, 2]), 1, keys), false);
  assert.equal(hasNone(filters([2, 0xffffffff]), 1, keys), false);
  assert.equal(hasNone(filters([2, 4], 3), 1, keys), false);
  assert.equal(hasNone(filters([2, 4]), 1, [pathKeys(Buffer.from('é'))]), false);
  assert.equal(hasNone(filters([2, 4], 2), 1, [pathKeys(Buffer.from('é'))]), true);
});

test('the keys of a path cost in proportion to its length', () => {
  const deep = (directories: number): Buffer => Buffer.from('a/'.repeat(directories - 1).concat('a'));
  const [all, most] = [pathKeys(deep(31)), pathKeys(deep(100_000))];
  assert.equal(all.length, 31);
  assert.ok(most.length > 8 && most.length <= 32, `${most.length} keys`);
});
