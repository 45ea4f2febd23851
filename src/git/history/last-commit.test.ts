import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { startHistories } from '#testkit/repositories/generated/histories-fixture';
import { openRandomRepository } from '#testkit/repositories/generated/open-random-repository';
import { createRandomRepository } from '#testkit/repositories/generated/random-repository';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { until } from '#testkit/until';
import type { GitRepository } from '../repository.ts';
import { lastCommit } from './last-commit.ts';

const { git, root, answered: seen } = await startHistories('last-commit');

const COMMITS = 40;
const PATHS = ['.', 'a', 'name with space', 'd', 'd/x', 'd/e', 'd/e/z'];
let made = 0;

/** Returns the last commit of a path, and the attempts of it that were made. */
async function find(
  repository: GitRepository,
  revision: string,
  path: string,
  literalPathspecs = false,
): Promise<{ oid: string | undefined; by: string | undefined }> {
  seen.length = 0;
  const query = { revision: Buffer.from(revision), path: Buffer.from(path), literalPathspecs };
  const oid = await lastCommit(repository, query);
  return { oid, by: seen.find((name) => name.startsWith('last_commit ') || name === 'last_commit') };
}

test('the last commit of a path is the one of git, in random histories', async () => {
  let inProcessCount = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 0xffffffff }), async (seed) => {
      const path = join(root, `${made++}.git`);
      const { repository, ask } = await openRandomRepository(git, path, { seed, count: COMMITS });
      for (let mark = 1; mark <= COMMITS; mark += 6) {
        for (const name of PATHS) {
          const { oid, by } = await find(repository, `c${mark}`, name);
          assert.equal(
            oid ?? '',
            ask('log', '-1', '--format=%H', `c${mark}`, '--', name),
            `c${mark}: ${name}`,
          );
          const isThere = ask('ls-tree', `c${mark}`, name) !== '';
          if (isThere) assert.equal(by, 'last_commit');
          if (isThere) inProcessCount++;
        }
      }
    }),
    // In others few of the paths may exist.
    { numRuns: 3, examples: [[11]] },
  );
  assert.ok(inProcessCount > 30, `${inProcessCount} in process`);
});

test('an old change is found by the filters of the commit-graph, in random histories', async () => {
  let walks = 0;
  const seeds = fc.integer({ min: 0, max: 0xffffffff });
  await fc.assert(
    fc.asyncProperty(seeds, fc.constantFrom('sha1', 'sha256'), async (seed, objectFormat) => {
      const path = join(root, `${made++}.git`);
      const ask = createRandomRepository(path, { seed, objectFormat, count: 3 * COMMITS });
      ask('commit-graph', 'write', '--reachable', '--changed-paths');
      const repository = git.open(path);
      await until(() => repository.commits.graph?.hasFilters === true);
      const commits = ask('rev-list', '--all').split('\n');
      for (const revision of commits.filter((_, index) => index % COMMITS === 0)) {
        const names = ask('ls-tree', '-r', '-t', '--name-only', revision).split('\n');
        for (const name of names.filter(Boolean)) {
          const { oid } = await find(repository, revision, name);

          assert.equal(oid, ask('log', '-1', '--format=%H', revision, '--', name), `${revision}: ${name}`);
          assert.deepEqual(
            seen.filter((text) => text.includes('by git')),
            [],
          );
          if (seen.includes('recent_commits')) walks++;
        }
      }
    }),
    { numRuns: 4, examples: [[11, 'sha1']] },
  );
  assert.ok(walks > 0);
});

test('git finds the last commit of patterns, of removed files, and for unusual revisions', async () => {
  const path = join(root, `${made++}.git`);
  const { repository, ask } = await openRandomRepository(git, path, { seed: 3, count: COMMITS });
  const short = ask('rev-parse', '--short=10', 'main');
  const removed = PATHS.find((name) => ask('ls-tree', 'main', name) === '' && name !== '.') ?? 'never';
  for (const [revision, name] of [
    ['main', 'd/*'],
    ['main', ':(glob)d/**'],
    ['main', 'd/'],
    ['main', '[a]'],
    ['main', removed],
    [short, 'a'],
    ['c30..main', 'a'],
  ] as const) {
    const { oid, by } = await find(repository, revision, name);
    assert.equal(oid ?? '', ask('log', '-1', '--format=%H', revision, '--', name), name);
    assert.match(by ?? '', /^last_commit by git/, name);
  }
  await assert.rejects(find(repository, 'missing', 'a'), { exitCode: 128 });
});

// The path was taken for one that the parent does not have.
for (const tree of ['^{tree}', ':d', ':d/e'])
  test(`a missing tree of a parent (${tree}) is an error as in git`, async () => {
    const path = join(root, `${made++}.git`);
    initRepository(path);
    const head = ['commit refs/heads/main', 'committer C <c@x> 1600000000 +0000', 'data 0', ''];
    const files = (contents: number) => ['M 100644 inline d/e/f', 'data 1', String(contents), ''];
    const stream = [1, 2].flatMap((contents) => [...head, ...files(contents)]).join('\n');
    gitOutput(path, ['-c', 'fastimport.unpackLimit=100', 'fast-import', '--quiet'], stream);
    const oid = gitOutput(path, ['rev-parse', `main~1${tree}`]);

    rmSync(join(path, 'objects', oid.slice(0, 2), oid.slice(2)));

    assert.throws(() => gitOutput(path, ['log', '-1', 'main', '--', 'd/e/f']));
    await assert.rejects(find(git.open(path), 'main', 'd/e/f'), { exitCode: 128 });
  });

test('names that look like patterns are names when the paths are literal', async () => {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const head = ['commit refs/heads/main', 'committer C <c@x> 1600000000 +0000', 'data 0', ''];
  const files = ['M 100644 inline a*', 'data 1', '1', 'M 100644 inline ab', 'data 1', '1'];
  const second = [...head, 'M 100644 inline ab', 'data 1', '2'];
  const stream = `${[...head, ...files, ...second].join('\n')}\n`;
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], stream);
  const repository = git.open(path);
  const [main, first] = ['main', 'main~1'].map((name) => gitOutput(path, ['rev-parse', name]));

  assert.deepEqual(await find(repository, 'main', 'a*', true), { oid: first, by: 'last_commit' });
  assert.equal((await find(repository, 'main', 'a*')).oid, main);
});

test('a first commit without files has changed nothing', async () => {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const head = ['commit refs/heads/main', 'committer C <c@x> 1600000000 +0000', 'data 0', ''];
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], `${[...head, ...head].join('\n')}\n`);

  assert.equal((await find(git.open(path), 'main', '.')).oid, undefined);
  assert.equal(gitOutput(path, ['log', '-1', '--format=%H', 'main', '--', '.']), '');
});

test('an old change is searched for once, also when commits are added', async () => {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const commits = (count: number): string =>
    Array.from({ length: count }, (_, index) => [
      ...['commit refs/heads/main', `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', ''],
      ...(index === 0 ? ['M 100644 inline d/old', 'data 1', '1'] : []),
      ...['M 100644 inline d/new', `data ${String(index).length}`, `${index}`],
    ])
      .flat()
      .join('\n');
  const write = (count: number): string =>
    gitOutput(path, ['fast-import', '--quiet', '--force', '--date-format=raw'], `${commits(count)}\n`);
  write(120);
  const repository = git.open(path);
  const first = gitOutput(path, ['log', '-1', '--format=%H', 'main', '--', 'd/old']);

  assert.equal((await find(repository, 'main', 'd/old')).oid, first);
  assert.ok(seen.some((text) => text.startsWith('last_commits by git')));
  write(125); // the same commits, and five more
  for (const revision of ['main', 'main~5', 'main']) {
    assert.equal((await find(repository, revision, 'd/old')).oid, first);
    assert.deepEqual(
      seen.filter((text) => text.includes('by git')),
      [],
    );
  }
});
