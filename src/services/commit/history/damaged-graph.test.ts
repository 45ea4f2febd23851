import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const COMMITS = 300;
const repository = { storageName: 'default', relativePath: 'x.git' };
const bytes = (text: string): Buffer => Buffer.from(text);

interface Place {
  readonly name: string;
  /** Writes graphs for a repository or its pool. @returns the file to damage. */
  readonly write: (repository: string, pool: string) => string;
}

const GRAPHS = 'objects/info/commit-graphs';

const PLACES: readonly Place[] = [
  {
    name: 'of the repository',
    write: (path) => {
      gitOutput(path, ['commit-graph', 'write', '--reachable']);
      return join(path, 'objects/info/commit-graph');
    },
  },
  {
    name: 'of its object pool',
    write: (_, pool) => {
      gitOutput(pool, ['commit-graph', 'write', '--reachable']);
      return join(pool, 'objects/info/commit-graph');
    },
  },
  {
    name: 'of its object pool, in a chain',
    write: (_, pool) => {
      gitOutput(pool, ['commit-graph', 'write', '--reachable', '--split']);
      return onlyLayer(pool);
    },
  },
  {
    name: 'of the repository above a layer of its object pool',
    write: (path, pool) => {
      gitOutput(pool, ['commit-graph', 'write', '--reachable', '--split']);
      gitOutput(path, ['commit-graph', 'write', '--reachable', '--split=no-merge']);
      const layer = onlyLayer(pool);
      const chain = readFileSync(join(path, GRAPHS, 'commit-graph-chain'), 'latin1').split('\n');
      assert.equal(`graph-${chain[0]}.graph`, basename(layer));
      assert.equal(chain.length, 3, 'two layers');
      rmSync(join(pool, GRAPHS, 'commit-graph-chain'));
      return layer;
    },
  },
];

function onlyLayer(path: string): string {
  const [layer = '', ...others] = readdirSync(join(path, GRAPHS)).filter((name) => name.endsWith('.graph'));
  assert.deepEqual(others, []);
  return join(path, GRAPHS, layer);
}

/**
 * Creates 300 commits on `main` in a pool, one more in a member of it, and a commit-graph that
 * names other parents.
 */
function createDamaged(gitaly: TestGitaly, { write }: Place): (...args: string[]) => string {
  const [path, pool] = [join(gitaly.storagePath(), 'x.git'), join(gitaly.storagePath(), 'pool.git')];
  for (const each of [path, pool]) initRepository(each);
  const commits = (from: number, to: number, before: string): string =>
    Array.from(
      { length: to - from },
      (_, index) =>
        `commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + from + index} +0000\ndata 0\n` +
        `${index === 0 ? before : ''}\n`,
    ).join('');
  gitOutput(pool, ['fast-import', '--quiet', '--date-format=raw'], commits(0, COMMITS, ''));
  writeFileSync(join(path, 'objects/info/alternates'), '../../pool.git/objects\n');
  const tip = gitOutput(pool, ['rev-parse', 'main']);
  gitOutput(
    path,
    ['fast-import', '--quiet', '--date-format=raw'],
    commits(COMMITS, COMMITS + 1, `from ${tip}\n`),
  );
  gitOutput(path, ['branch', 'side', 'main~200']);
  const file = write(path, pool);
  const graph = readFileSync(file);
  const [start, end] = ['CDAT', 'GDA2'].map((name) => Number(graph.readBigUInt64BE(graph.indexOf(name) + 4)));
  assert.ok(start !== undefined && end !== undefined);
  for (let at = start + 20; at < end; at += 36) {
    const parent = graph.readUInt32BE(at);
    if (parent < COMMITS) graph.writeUInt32BE((parent + 7) % COMMITS, at);
  }
  chmodSync(file, 0o644);
  writeFileSync(file, graph);
  return (...args) => gitOutput(path, ['-c', 'core.commitGraph=false', ...args]);
}

// git does not compare a commit-graph with its checksum: these calls returned other commits.
for (const place of PLACES)
  test(`a damaged commit-graph ${place.name} changes no answer once it was checked`, async () => {
    await using gitaly = await startGitaly();
    const ask = createDamaged(gitaly, place);
    const { commit, repository: repositories } = gitaly.connection;
    const find = async (revision: string) =>
      (await commit.findCommit({ repository, revision: bytes(revision) })).commit?.id;
    const expected = ask('rev-parse', 'main~200');

    await until(
      async () => (await find('main~200')) === expected,
      'the commit that git finds without the graph',
    );

    assert.equal(await find('main~300'), ask('rev-parse', 'main~300'));
    const { base } = await repositories.findMergeBase({
      repository,
      revisions: [bytes('main'), bytes('side')],
    });
    assert.equal(base, ask('merge-base', 'main', 'side'));
    const range = { from: bytes('main'), to: bytes('side') };
    const { leftCount, rightCount } = await commit.countDivergingCommits({ repository, ...range });
    assert.deepEqual([leftCount, rightCount], [200, 0]);
    assert.equal((await commit.countCommits({ repository, revision: bytes('main') })).count, COMMITS + 1);
    assert.equal(
      (await commit.commitIsAncestor({ repository, ancestorId: 'side', childId: 'main' })).value,
      true,
    );
  });
