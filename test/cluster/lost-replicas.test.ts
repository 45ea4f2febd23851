import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { commitFiles } from '#client/index';
import { sql } from '#praefect/database/database';
import { deriveReplicaPath } from '#praefect/routing/replica-path';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster, type TestPraefect } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { commit, NODES, repository } from './cluster-repository.ts';

const skip = withoutPostgres;
const PATH = deriveReplicaPath(1, repository.relativePath);

const headOn = (cluster: TestCluster, node: number): string =>
  gitOutput(cluster.repositoryPath(node, PATH), ['rev-parse', 'refs/heads/main']);

const replicas = ({ database }: TestDatabase) =>
  database.rows(sql<{ storage: string }>`SELECT storage FROM storage_repositories`);

/** Losses of a node: that of its disk, and damage. */
const LOSSES = [
  { name: 'its repository', lose: (path: string) => rmSync(path, { recursive: true }) },
  {
    name: 'the objects of its repository',
    lose: (path: string) => rmSync(`${path}/objects`, { recursive: true }),
  },
];

/** Writes in a row in which all nodes take part. */
const WRITES = 10;
/** Time for a node that is behind to take part in writes again, on a busy machine. */
const CATCH_UP_MS = 60_000;
const BRANCHES = ['one', 'two', 'three'];

// Born failing: the reads that such a node got, and the writes if it was the primary, were
// NOT_FOUND for as long as nobody had the replicas verified, while all counted as up to date.
for (const { name, lose } of LOSSES)
  test(`a node that has lost ${name} gets a copy, unnoticed by clients`, { skip }, async () => {
    await using postgres = await startPostgres();
    await using cluster = await startCluster({ database: postgres });
    // What a copy replaced is kept. It must not hide why a test failed.
    using _kept = {
      [Symbol.dispose]: () => {
        for (const [index, node] of cluster.nodes.entries())
          rmSync(join(node.storagePath(`gitaly-${index + 1}`), '+gitaly/tmp'), {
            recursive: true,
            force: true,
          });
      },
    };
    await cluster.connection.repository.createRepository({ repository });
    const id = await commit(cluster, 'first');
    const other = { storageName: 'default', relativePath: 'other.git' };
    await cluster.connection.repository.createRepository({ repository: other });
    const read = async (): Promise<string | undefined> =>
      (await cluster.connection.commit.findCommit({ repository, revision: Buffer.from('main') })).commit?.id;
    const primaryNode = async (): Promise<number> =>
      Number(
        (
          await postgres.database.row(sql<{ primary: string }>`
            SELECT "primary" FROM repositories WHERE relative_path = ${repository.relativePath}`)
        )?.primary.slice('gitaly-'.length),
      );
    const isWhole = async (node: number, head: string): Promise<boolean> => {
      const rows = await replicas(postgres);
      const has = existsSync(join(cluster.repositoryPath(node, PATH), 'objects'));
      return (
        has &&
        rows.filter((row) => row.storage === `gitaly-${node}`).length === 2 &&
        headOn(cluster, node) === head
      );
    };

    // Reads find it.
    const first = await primaryNode();
    lose(cluster.repositoryPath(first, PATH));
    for (let count = 0; count < 20; count++) assert.equal(await read(), id);
    await until(() => isWhole(first, id));

    // A write finds it on the primary.
    const second = await primaryNode();
    lose(cluster.repositoryPath(second, PATH));
    const later = await commit(cluster, 'second');
    assert.notEqual(await primaryNode(), second);
    await until(() => isWhole(second, later));
    assert.equal(await read(), later);

    const found = cluster.log.filter(({ msg }) => msg === 'a node has lost its replica: a copy is queued');
    assert.deepEqual(
      found.map(({ storage }) => storage),
      [`gitaly-${first}`, `gitaly-${second}`],
    );
    // All other replicas of the node are verified again.
    await until(async () => {
      const { verified = 0 } =
        (await postgres.database.row(sql<{ verified: number }>`
        SELECT count(*) AS verified FROM storage_repositories
        WHERE storage = ${`gitaly-${first}`} AND verified_at IS NOT NULL`)) ?? {};
      return verified === 2;
    });
  });

test('what all nodes have lost, and what never was, is not found', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  await cluster.connection.repository.createRepository({ repository });
  const find = (relativePath: string) =>
    cluster.connection.commit.findCommit({
      repository: { storageName: 'default', relativePath },
      revision: Buffer.from('main'),
    });
  const notFound = { code: 'NOT_FOUND', message: 'repository not found' };

  await assert.rejects(find('never.git'), notFound);
  for (const node of NODES) rmSync(cluster.repositoryPath(node, PATH), { recursive: true });
  await assert.rejects(find(repository.relativePath), notFound);
});

// Born failing: each copy was outdated when it ended, so the node stayed behind until the writes
// paused.
for (const { name, praefects, skip, start } of [
  { name: 'with a database', praefects: 1, skip: withoutPostgres, start: startPostgres },
  { name: 'with two Praefects and a database', praefects: 2, skip: withoutPostgres, start: startPostgres },
  { name: 'in memory', praefects: 1, skip: false, start: undefined },
])
  test(`a node that is behind catches up while writes go on, ${name}`, { skip }, async (context) => {
    await using resources = new AsyncDisposableStack();
    const database = start && resources.use(await start());
    const cluster = resources.use(await startCluster({ praefects, ...(database && { database }) }));
    await cluster.connection.repository.createRepository({ repository });
    await commit(cluster, 'first');
    const path = database ? deriveReplicaPath(1, repository.relativePath) : repository.relativePath;
    const stop = new AbortController();
    const writers = BRANCHES.map((branch, index) =>
      writeOn(cluster.praefects[index % praefects] ?? cluster, branch, stop.signal),
    );
    resources.defer(async () => {
      stop.abort();
      await Promise.allSettled(writers);
    });
    const isWhole = (since: readonly number[] = []): boolean =>
      cluster.praefects.every(({ log }, index) => {
        const last = log.slice(since[index]).flatMap(nodesOfWrite).slice(-WRITES);
        return last.length === WRITES && last.every((count) => count === 3);
      });
    await until(() => isWhole(), 'all nodes take part', CATCH_UP_MS);
    const number = Number(secondaryOf(cluster.log).slice('gitaly-'.length));
    const behind = cluster.repositoryPath(number, path);
    // Without it the node's vote is another one, so that only a copy brings the branch back.
    await deleteRef(behind, 'refs/heads/one');
    const from = performance.now();
    const hasBranch = (): boolean =>
      spawnSync('git', ['-C', behind, 'rev-parse', '--quiet', '--verify', 'refs/heads/one']).status === 0;
    await until(hasBranch, 'the node has a copy', CATCH_UP_MS);
    const copied = cluster.praefects.map(({ log }) => log.length);
    await until(() => isWhole(copied), 'the node has caught up', CATCH_UP_MS);
    context.diagnostic(`after ${Math.round(performance.now() - from)} ms`);
    stop.abort();
    const tips = await Promise.all(writers);
    context.diagnostic(`longest write: ${Math.max(...tips.map(({ longestMs }) => longestMs))} ms`);
    for (const [index, { latest }] of tips.entries())
      for (const node of NODES) {
        const args = ['rev-parse', `refs/heads/${BRANCHES[index]}`];
        assert.equal(gitOutput(cluster.repositoryPath(node, path), args), latest);
      }
  });

/** Deletes a reference that writes lock now and then. */
async function deleteRef(path: string, name: string): Promise<void> {
  const isDeleted = (): boolean => {
    const { status, stderr } = spawnSync('git', ['-C', path, 'update-ref', '-d', name]);
    if (status !== 0) assert.match(stderr.toString(), /\.lock': File exists/);
    return status === 0;
  };
  await until(isDeleted, 'no write locks the reference', CATCH_UP_MS);
}

/** Commits to a branch until the signal is aborted. Returns the last commit. */
async function writeOn(
  { connection }: TestPraefect,
  branch: string,
  stop: AbortSignal,
): Promise<{ latest: string | undefined; longestMs: number }> {
  let longestMs = 0;
  let latest: string | undefined;
  for (let count = 0; !stop.aborted; count++) {
    const from = performance.now();
    const update = await commitFiles(
      connection,
      {
        repository,
        user: { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') },
        branchName: Buffer.from(branch),
        commitMessage: Buffer.from(`${count}`),
        timestamp: { seconds: 1_700_000_000n, nanos: 0 },
      },
      [{ type: 'create', path: `${count}.txt`, content: branch }],
    );
    latest = update?.commitId;
    const tookMs = performance.now() - from;
    longestMs = Math.max(longestMs, Math.round(tookMs));
    // Leaves a busy machine time for copies: no pause is long enough for slow ones.
    await delay(tookMs);
  }
  return { latest, longestMs };
}

/** Returns the number of nodes of the write, if a line of the log is about one. */
function nodesOfWrite({ route }: Readonly<Record<string, unknown>>): number[] {
  const secondaries = secondariesOf(route);
  return secondaries === undefined ? [] : [1 + secondaries.length];
}

/** Returns a node of the last write that was not the primary. */
function secondaryOf(log: TestPraefect['log']): string {
  return log.flatMap(({ route }) => secondariesOf(route) ?? []).at(-1) ?? '';
}

function secondariesOf(route: unknown): readonly string[] | undefined {
  // The shape of the field in the log.
  return (route as { readonly secondaries?: readonly string[] } | undefined)?.secondaries;
}
