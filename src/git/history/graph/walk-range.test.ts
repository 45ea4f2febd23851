import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { randomSelection, startHistories } from '#testkit/repositories/generated/histories-fixture';
import {
  openRandomRepository,
  type RandomRepository,
} from '#testkit/repositories/generated/open-random-repository';
import { gitOutput } from '#testkit/repositories/init-repository';
import { recentCommits } from '../recent-commits.ts';

const { git, root } = await startHistories('walk-range');

const COMMITS = 60;
let made = 0;

const makeRepository = (seed: number): Promise<RandomRepository> =>
  openRandomRepository(git, join(root, `${made++}.git`), { seed, count: COMMITS, hasGraph: seed % 2 === 0 });

const lines = (text: string): string[] => text.split('\n').filter(Boolean);
const seeds = fc.integer({ min: 0, max: 0xffffffff });
const selection = fc.record({
  ...randomSelection(COMMITS),
});

test('ranges of random histories with wrong dates are those that git lists, in its order', async () => {
  await fc.assert(
    fc.asyncProperty(seeds, fc.array(selection, { minLength: 20, maxLength: 20 }), async (seed, queries) => {
      const { repository, ask } = await makeRepository(seed);
      for (const query of queries) {
        const { revisions, firstParent, skip, maxCount, maxParents, reverse } = query;
        const options = [
          ...(firstParent ? ['--first-parent'] : []),
          ...(skip > 0 ? [`--skip=${skip}`] : []),
          ...(maxCount === undefined ? [] : [`--max-count=${maxCount}`]),
          ...(maxParents > 0 ? [`--max-parents=${maxParents}`] : []),
          ...(reverse ? ['--reverse'] : []),
        ];

        const found = await recentCommits(repository, query);

        const expected = lines(ask('rev-list', ...options, ...revisions));
        assert.deepEqual(
          found?.map(({ oid }) => oid),
          expected,
        );
      }
    }),
    { numRuns: 8 },
  );
});

test('a list of more than 256 commits, or of other revisions, is left to git', async () => {
  const { repository, ask } = await makeRepository(1);
  const stream = Array.from({ length: 258 }, (_, index) =>
    [`commit refs/heads/long`, `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', ''].join('\n'),
  );
  gitOutput(repository.path, ['fast-import', '--quiet', '--date-format=raw'], `${stream.join('\n')}\n`);
  const count = async (...revisions: string[]): Promise<number | undefined> => {
    const query = { revisions, skip: 0, maxCount: undefined, firstParent: false };
    return (await recentCommits(repository, query))?.length;
  };

  assert.equal(await count('long'), undefined);
  assert.equal(await count('long~1'), undefined);
  assert.equal(await count('long~2'), 256);
  assert.equal(await count('long~257..long'), undefined);
  assert.equal(await count('long~256..long'), 256);
  const many = Array.from({ length: 17 }, () => 'main');
  for (const revisions of [
    ['c1...c2'],
    ['c1..'],
    ['..c2'],
    ['^c1', '--all'],
    ['missing'],
    ['^missing', 'c1'],
    many,
  ])
    assert.equal(await count(...revisions), undefined, revisions.join(' '));
  assert.equal(await count(...many.slice(1)), Number(ask('rev-list', '--count', 'main')));
});

test('a list is made in process up to 256 commits with those that are skipped', async () => {
  const { repository, ask } = await makeRepository(2);
  const list = (skip: number, maxCount: number) =>
    recentCommits(repository, { revisions: ['main'], skip, maxCount, firstParent: false });
  const all = lines(ask('rev-list', 'main'));

  for (const [skip, maxCount] of [
    [0, 256],
    [3, 253],
    [3, 0],
  ] as const) {
    const listed = await list(skip, maxCount);
    assert.deepEqual(
      listed?.map(({ oid }) => oid),
      all.slice(skip, skip + maxCount),
    );
  }
  for (const [skip, maxCount] of [
    [0, 257],
    [4, 253],
    [5, -1],
  ] as const)
    assert.equal(await list(skip, maxCount), undefined);
});
