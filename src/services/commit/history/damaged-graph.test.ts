import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const COMMITS = 300;
const repository = { storageName: 'default', relativePath: 'x.git' };
const bytes = (text: string): Buffer => Buffer.from(text);

/** Creates 300 commits on `main`, and a commit-graph that names other parents. */
function createDamaged(gitaly: TestGitaly): (...args: string[]) => string {
  const path = join(gitaly.storagePath(), 'x.git');
  initRepository(path);
  const stream = Array.from(
    { length: COMMITS },
    (_, index) => `commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + index} +0000\ndata 0\n\n`,
  );
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], stream.join(''));
  gitOutput(path, ['branch', 'side', 'main~200']);
  gitOutput(path, ['commit-graph', 'write', '--reachable']);
  const file = join(path, 'objects/info/commit-graph');
  const graph = readFileSync(file);
  const start = Number(graph.readBigUInt64BE(graph.indexOf('CDAT') + 4));
  for (let at = start + 20; at < start + COMMITS * 36; at += 36) {
    const parent = graph.readUInt32BE(at);
    if (parent < COMMITS) graph.writeUInt32BE((parent + 7) % COMMITS, at);
  }
  chmodSync(file, 0o644);
  writeFileSync(file, graph);
  return (...args) => gitOutput(path, ['-c', 'core.commitGraph=false', ...args]);
}

// git does not compare a commit-graph with its checksum: these calls returned other commits.
test('a damaged commit-graph changes no answer once it was checked', async () => {
  await using gitaly = await startGitaly();
  const ask = createDamaged(gitaly);
  const { commit, repository: repositories } = gitaly.connection;
  const find = async (revision: string) =>
    (await commit.findCommit({ repository, revision: bytes(revision) })).commit?.id;
  const expected = ask('rev-parse', 'main~200');

  await until(
    async () => (await find('main~200')) === expected,
    'the commit that git finds without the graph',
  );

  assert.equal(await find('main~299'), ask('rev-parse', 'main~299'));
  const { base } = await repositories.findMergeBase({
    repository,
    revisions: [bytes('main'), bytes('side')],
  });
  assert.equal(base, ask('merge-base', 'main', 'side'));
  const range = { from: bytes('main'), to: bytes('side') };
  const { leftCount, rightCount } = await commit.countDivergingCommits({ repository, ...range });
  assert.deepEqual([leftCount, rightCount], [200, 0]);
  assert.equal((await commit.countCommits({ repository, revision: bytes('main') })).count, COMMITS);
  assert.equal(
    (await commit.commitIsAncestor({ repository, ancestorId: 'side', childId: 'main' })).value,
    true,
  );
});
