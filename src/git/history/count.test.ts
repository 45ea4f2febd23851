import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { startHistories } from '#testkit/repositories/generated/histories-fixture';
import {
  openRandomRepository,
  type RandomRepository,
} from '#testkit/repositories/generated/open-random-repository';
import { gitOutput } from '#testkit/repositories/init-repository';
import { FallBackToGit } from '../command/in-process.ts';
import { type CountQuery, countCommits, countDiverging } from './count.ts';
import { CommitGraph, commitBytes } from './graph/commit-graph.ts';
import { countReached } from './graph/count-reached.ts';

const { git, root, answered: counted } = await startHistories('count');

const COMMITS = 60;
let made = 0;

const makeRepository = (kind: { seed: number; hasGraph: boolean }): Promise<RandomRepository> =>
  openRandomRepository(git, join(root, `${made++}.git`), { ...kind, count: COMMITS });

/** Returns what was counted in process, or by git, since the last call. */
function takeCounted(): string[] {
  return counted.splice(0).filter((name) => name.startsWith('count_'));
}

const repositories = fc.record({ seed: fc.integer({ min: 0, max: 0xffffffff }), hasGraph: fc.boolean() });
const name = fc.integer({ min: 1, max: COMMITS }).map((mark) => `c${mark}`);
const revision = fc.oneof(
  name,
  fc.tuple(name, name).map((names) => names.join('..')),
);
const selections = fc.array(
  fc.record({
    revisions: fc.array(revision, { minLength: 1, maxLength: 3 }),
    firstParent: fc.boolean(),
    maxCount: fc.constantFrom(-1, 0, 1, 5, 5_000),
  }),
  { minLength: 15, maxLength: 15 },
);
const sides = fc.array(fc.tuple(name, name, fc.nat(20)), { minLength: 15, maxLength: 15 });

test('counts of random histories are those of git, with a commit-graph and without', async () => {
  await fc.assert(
    fc.asyncProperty(repositories, selections, async (kind, queries) => {
      const { repository, ask } = await makeRepository(kind);
      for (const query of queries) {
        const { revisions, firstParent, maxCount } = query;
        const limit = maxCount === 0 ? [] : [`--max-count=${maxCount}`];
        const options = [...limit, ...(firstParent ? ['--first-parent'] : [])];
        const expected = Number(ask('rev-list', '--count', ...options, ...revisions));

        assert.equal(await countCommits(repository, query), expected);
        assert.deepEqual(takeCounted(), ['count_commits']);
      }
    }),
    { numRuns: 8 },
  );
});

test('both sides of random histories are counted as git counts them', async () => {
  await fc.assert(
    fc.asyncProperty(repositories, sides, async (kind, questions) => {
      const { repository, ask } = await makeRepository(kind);
      for (const [from, to, maxCount] of questions) {
        const limit = maxCount === 0 ? [] : [`--max-count=${maxCount}`];
        const output = ask('rev-list', '--count', '--left-right', ...limit, `${from}...${to}`);
        const [left, right] = output.split('\t').map(Number);

        const names = { from: Buffer.from(from), to: Buffer.from(to) };
        assert.deepEqual(await countDiverging(repository, { ...names, maxCount }), { left, right });
      }
    }),
    // Symptom: ten commits instead of seven, where dates are wrong.
    { numRuns: 8, examples: [[{ seed: 2867034244, hasGraph: false }, [['c50', 'c57', 0]]]] },
  );
  const inProcessShare = takeCounted().filter((each) => each === 'count_diverging').length / (8 * 15);
  assert.ok(inProcessShare > 0.5, `in process: ${inProcessShare}`); // others have several merge bases
});

test('commits that are newer than the commit-graph are counted once', async () => {
  const { repository, ask } = await makeRepository({ seed: 5, hasGraph: true });
  const tree = ask('rev-parse', 'main^{tree}');
  const person = ['-c', 'user.name=C', '-c', 'user.email=c@example.com'];
  const commit = (...parents: string[]): string =>
    ask(...person, 'commit-tree', '-m', parents.join(), ...parents.flatMap((each) => ['-p', each]), tree);
  const [left, right] = [commit('main'), commit('main', 'c3')];
  const merged = commit(left, right);

  const count = await countCommits(repository, { revisions: [merged, left] });

  assert.equal(count, Number(ask('rev-list', '--count', merged, left)));
  assert.deepEqual(takeCounted(), ['count_commits']);
});

test('git counts what is selected by more than the shape of the history', async () => {
  const { repository, ask } = await makeRepository({ seed: 6, hasGraph: false });
  const main = ask('rev-parse', 'main');
  const pattern = Buffer.from('d/*');
  const cases: [CountQuery, string[]][] = [
    [{ revisions: [], all: true }, ['--all']],
    [{ revisions: ['main'], before: '1600000600' }, ['--before=1600000600', 'main']],
    [{ revisions: ['main'], after: '1600000600' }, ['--after=1600000600', 'main']],
    [{ revisions: ['main'], paths: [pattern] }, ['main', '--', 'd/*']],
    [{ revisions: ['main'], paths: [pattern], firstParent: true }, ['--first-parent', 'main', '--', 'd/*']],
    [{ revisions: [main.slice(0, 10)] }, ['main']],
    [{ revisions: ['main...c3'] }, ['main...c3']],
    [{ revisions: ['main', '--not', 'c3'] }, ['main', '--not', 'c3']],
  ];
  for (const [query, words] of cases) {
    assert.equal(await countCommits(repository, query), Number(ask('rev-list', '--count', ...words)));
    assert.match(takeCounted().join(), /^count_commits by git: /);
  }
  await assert.rejects(countCommits(repository, { revisions: ['main..missing'] }), { exitCode: 128 });
});

test('git counts both sides of what are not two commits', async () => {
  const { repository, ask } = await makeRepository({ seed: 7, hasGraph: false });
  const count = async (from: string, to: string) =>
    await countDiverging(repository, { from: Buffer.from(from), to: Buffer.from(to), maxCount: 0 });

  for (const [from, to] of [
    ['c1..c2', 'c3'],
    ['^c1', 'c3'],
    ['c3', '^c1'],
    ['main^{tree}', 'c3'],
  ] as const)
    await assert.rejects(count(from, to), { exitCode: 128 });
  assert.deepEqual(await count('main', ask('rev-parse', '--short=10', 'main')), { left: 0, right: 0 });
});

test('a shallow history is counted by git, which does not see the rest', async () => {
  const { repository, ask } = await makeRepository({ seed: 8, hasGraph: false });
  writeFileSync(join(repository.path, 'shallow'), `${ask('rev-parse', 'main')}\n`);

  assert.equal(await countCommits(repository, { revisions: ['main'] }), 1);
  assert.equal(gitOutput(repository.path, ['rev-list', '--count', 'main']), '1');
});

test('a damaged commit-graph is not counted', async () => {
  const { repository, ask } = await makeRepository({ seed: 9, hasGraph: false });
  const oid = ask('rev-parse', 'main');
  const bytes = oid.length / 2;
  const commits = Buffer.alloc(commitBytes(bytes));
  commits.writeUInt32BE(7, bytes); // there is one commit
  commits.writeUInt32BE(0x70000000, bytes + 4);
  const fanOut = Buffer.alloc(256 * 4);
  for (let byte = Number.parseInt(oid.slice(0, 2), 16); byte < 256; byte++) fanOut.writeUInt32BE(1, byte * 4);
  const names = Buffer.from(oid, 'hex');
  const graph = new CommitGraph(
    [{ base: 0, count: 1, fanOut, names, commits, edges: Buffer.alloc(0), filters: undefined }],
    bytes,
  );

  await assert.rejects(countReached({ nodes: repository.commits, graph }, [oid]), FallBackToGit);
});
