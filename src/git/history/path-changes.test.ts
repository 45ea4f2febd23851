import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { randomSelection, startHistories } from '#testkit/repositories/generated/histories-fixture';
import { openRandomRepository } from '#testkit/repositories/generated/open-random-repository';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { repetitions } from '#testkit/soak';
import type { GitRepository } from '../repository.ts';
import { countCommits } from './count.ts';
import { PATH_CHANGES_LIMITS, PathChanges } from './path-changes.ts';
import { recentCommits } from './recent-commits.ts';

const { git, root, answered: seen } = await startHistories('path-changes');

const COMMITS = 60;
/** Files that directories replace and the other way round, and names next to them in git's order. */
const FILES = ['a', 'd-x', 'd.y', 'd/e/z', 'd', 'd/x', 'd/e', 'e/f', 'd/e/w', 'e', 'e/g/h'];
const PATHS = [...FILES, '.', 'e/g', 'nope', 'a/b', 'd/e/w/x'];
let made = 0;

const lines = (text: string): string[] => text.split('\n').filter(Boolean);
const selection = fc.record({
  ...randomSelection(COMMITS),
  paths: fc.array(fc.constantFrom(...PATHS), { minLength: 1, maxLength: 3 }),
});
const repositories = fc.record({
  seed: fc.integer({ min: 0, max: 0xffffffff }),
  objectFormat: fc.constantFrom('sha1', 'sha256'),
  hasGraph: fc.boolean(),
});

test('histories with paths are those that git lists and counts, in its order', async () => {
  await fc.assert(
    fc.asyncProperty(
      repositories,
      fc.array(selection, { minLength: 20, maxLength: 20 }),
      async (kind, selections) => {
        const place = join(root, `${made++}.git`);
        const options = { ...kind, count: COMMITS, paths: FILES };
        const { repository, ask } = await openRandomRepository(git, place, options);
        for (const { paths, ...query } of selections) {
          const { revisions, firstParent, skip, maxCount, maxParents, reverse } = query;
          const names = paths.map((path) => Buffer.from(path));
          const words = [
            ...(firstParent ? ['--first-parent'] : []),
            ...(maxCount === undefined ? [] : [`--max-count=${maxCount}`]),
          ];
          const more = [
            ...(skip > 0 ? [`--skip=${skip}`] : []),
            ...(maxParents > 0 ? [`--max-parents=${maxParents}`] : []),
            ...(reverse ? ['--reverse'] : []),
          ];
          seen.length = 0;

          const found = await recentCommits(repository, { ...query, paths: names });
          const count = await countCommits(repository, {
            ...{ revisions, firstParent, paths: names, maxCount: maxCount ?? 0 },
          });

          const expected = lines(ask('rev-list', ...words, ...more, ...revisions, '--', ...paths));
          const what = `${revisions.join(' ')} -- ${paths.join(' ')}`;
          assert.deepEqual(
            found?.map(({ oid }) => oid),
            expected,
            what,
          );
          // Here a count of 0 has no limit.
          const limit = maxCount === 0 ? words.filter((word) => !word.startsWith('--max')) : words;
          assert.equal(
            String(count),
            ask('rev-list', '--count', ...limit, ...revisions, '--', ...paths),
            what,
          );
          assert.deepEqual(
            seen.filter((text) => text.includes('by git')),
            [],
            what,
          );
        }
      },
    ),
    { numRuns: repetitions('PATH_HISTORIES', { short: 6, long: 150 }) },
  );
});

test('commits that git excludes late, or not at all, are those of git', async () => {
  // Wrong dates let a walk pass commits before it finds that they are excluded. What git excludes
  // then depends on the commits that it has read, and on the parents that it has left out.
  for (const { seed, revisions, path, isFirst = false } of [
    { seed: 9, revisions: '^c29 ^c52 c22 c33', path: 'd/x' },
    { seed: 10, revisions: 'c33 ^c58 c39 ^c44', path: 'd/e/w' },
    { seed: 125, revisions: 'c33 c45 ^c19', path: 'd/e' },
    { seed: 141, revisions: 'c35 c21 ^c24 c22', path: 'd/x' },
    { seed: 190, revisions: '^c14 c13 c23', path: 'a', isFirst: true },
  ]) {
    const options = { seed, count: COMMITS, paths: FILES };
    const { repository, ask } = await openRandomRepository(git, join(root, `${made++}.git`), options);
    const names = revisions.split(' ');
    const query = { revisions: names, skip: 0, maxCount: undefined, firstParent: isFirst };

    const found = await recentCommits(repository, { ...query, paths: [Buffer.from(path)] });

    assert.deepEqual(
      found?.map(({ oid }) => oid),
      lines(ask('rev-list', ...(isFirst ? ['--first-parent'] : []), ...names, '--', path)),
      `${seed}`,
    );
  }
});

/** Creates a repository with commits on `main`, each with changes of `git fast-import`. */
function importCommits(commits: readonly (readonly string[])[]): string {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const stream = commits.flatMap((changes, index) => [
    ...['commit refs/heads/main', `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', ''],
    ...changes.flatMap((change) => (change.startsWith('M') ? [change, 'data 1', `${index % 10}`] : [change])),
  ]);
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], `${stream.join('\n')}\n`);
  return path;
}

/** Lists the history of paths, and returns the ids with what the attempt in process ended with. */
async function history(
  repository: GitRepository,
  paths: readonly string[],
  { literalPathspecs = false } = {},
) {
  seen.length = 0;
  const names = paths.map((path) => Buffer.from(path));
  const all = { revisions: ['main'], skip: 0, maxCount: undefined, firstParent: false };
  const found = await recentCommits(repository, { ...all, paths: names, literalPathspecs });
  return { oids: found?.map(({ oid }) => oid), by: seen.find((text) => text.startsWith('recent_commits')) };
}

test('patterns and unusual paths are left to git, unless they are literal', async () => {
  const path = importCommits([['M 100644 inline a*'], ['M 100644 inline ab'], ['M 100644 inline d/x']]);
  const repository = git.open(path);
  const unusual = 'recent_commits by git: an unusual path';
  const ask = (...paths: string[]): string[] => lines(gitOutput(path, ['rev-list', 'main', '--', ...paths]));

  for (const name of [
    'a*',
    'a?',
    '[a]b',
    'a\\b',
    ':a',
    ':(icase)AB',
    'd/',
    './ab',
    'd//x',
    '../a',
    '/a',
    'a\0',
    '',
  ])
    assert.deepEqual(await history(repository, ['ab', name]), { oids: undefined, by: unusual }, name);
  for (const name of ['d/', './ab', 'a\0'])
    assert.deepEqual((await history(repository, [name], { literalPathspecs: true })).by, unusual, name);
  assert.deepEqual(await history(repository, ['a*'], { literalPathspecs: true }), {
    oids: ask(':(literal)a*'),
    by: 'recent_commits',
  });
  assert.equal(ask(':(literal)a*').length, 1);
  const many = Array.from({ length: 16 }, (_, index) => (index === 0 ? 'ab' : `n${index}`));
  assert.deepEqual(await history(repository, many), { oids: ask('ab'), by: 'recent_commits' });
  assert.equal((await history(repository, [...many, 'more'])).by, unusual);
});

test('directories without files, and modes that git does not write, are no changes', async () => {
  const path = importCommits([['M 100644 inline d/f']]);
  const repository = git.open(path);
  const blob = gitOutput(path, ['rev-parse', 'main:d/f']);
  const empty = gitOutput(path, ['mktree'], '');
  const nested = gitOutput(path, ['mktree'], `040000 tree ${empty}\te\n`);
  let tip = gitOutput(path, ['rev-parse', 'main']);
  const made: string[] = [tip];
  for (const entries of [
    `100644 blob ${blob}\tf\n040000 tree ${empty}\tg\n`,
    `100644 blob ${blob}\tf\n040000 tree ${nested}\tg\n`,
    `100664 blob ${blob}\tf\n`,
    `100755 blob ${blob}\tf\n`,
    undefined,
    '',
  ]) {
    const below = entries === undefined ? nested : gitOutput(path, ['mktree'], entries);
    const tree = gitOutput(path, ['mktree'], `040000 tree ${below}\td\n`);
    tip = gitOutput(path, ['commit-tree', '-m', 'm', '-p', tip, tree]);
    made.push(tip);
  }
  gitOutput(path, ['update-ref', 'refs/heads/main', tip]);

  for (const name of ['d', '.', 'd/f', 'd/g', 'd/e']) {
    const expected = lines(gitOutput(path, ['rev-list', 'main', '--', name]));
    assert.deepEqual(await history(repository, [name]), { oids: expected, by: 'recent_commits' }, name);
  }
  assert.deepEqual((await history(repository, ['d'])).oids, [made[5], made[4], made[0]]);
});

test('a walk reads 100 trees that are not cached, and the next one comes further', async () => {
  const { uncached } = PATH_CHANGES_LIMITS;
  const commits = (count: number): string[][] =>
    Array.from({ length: count }, (_, index) => [
      index === 0 ? 'M 100644 inline a' : `M 100644 inline b${index}`,
    ]);
  const few = git.open(importCommits(commits(uncached)));
  const path = importCommits(commits(uncached + 1));
  const expected = lines(gitOutput(path, ['rev-list', 'main', '--', 'a']));
  const many = git.open(path);

  assert.equal((await history(few, ['a'])).by, 'recent_commits');
  assert.deepEqual(await history(many, ['a']), {
    oids: undefined,
    by: 'recent_commits by git: very many trees have to be read',
  });
  assert.deepEqual(await history(many, ['a']), { oids: expected, by: 'recent_commits' });
  assert.equal(expected.length, 1);
});

test('a walk reads 256 trees, for each path the same ones', async () => {
  const { reads } = PATH_CHANGES_LIMITS;
  const count = reads / 16 + 1;
  const names = Array.from({ length: 16 }, (_, index) => `n${index}`);
  const change = (_: unknown, index: number): string[] => [`M 100644 inline b${index}`];
  const repository = git.open(importCommits(Array.from({ length: count }, change)));
  let tries = 0;
  while ((await history(repository, ['n0'])).by !== 'recent_commits') assert.ok(tries++ < 10);

  assert.deepEqual(await history(repository, names.slice(1)), { oids: [], by: 'recent_commits' });
  assert.deepEqual(await history(repository, names), {
    oids: undefined,
    by: 'recent_commits by git: very many trees have to be read',
  });
});

test('a missing tree is left to git', async () => {
  const path = importCommits([['M 100644 inline a']]);
  const tree = gitOutput(path, ['mktree', '--missing'], `040000 tree ${'1'.repeat(40)}\td\n`);
  const tip = gitOutput(path, ['commit-tree', '-m', 'm', '-p', 'refs/heads/main', tree]);
  gitOutput(path, ['update-ref', 'refs/heads/main', tip]);
  const repository = git.open(path);

  assert.match((await history(repository, ['d'])).by ?? '', /by git: an object is not found$/);
  assert.equal((await history(repository, ['a'])).by, 'recent_commits');
});

test('an aborted comparison ends', async () => {
  const path = importCommits([['M 100644 inline a'], ['M 100644 inline a']]);
  const trees = lines(gitOutput(path, ['log', '--format=%T', 'main']));
  const options = { signal: AbortSignal.abort() };
  const changes = new PathChanges(git.open(path).objects, { paths: [Buffer.from('a')] }, options);

  await assert.rejects(changes.differ(trees[1], trees[0] ?? ''), { code: 'CANCELLED' });
});
