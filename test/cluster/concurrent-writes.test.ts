import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Connection, commitFiles } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { MAX_HOLD_MS } from '#praefect/transactions/memory-write-locks';
import { initRepository } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { MigrateReferenceBackendRequest_ReferenceBackend as Backend } from '#wire/gen/repository_pb';
import { commit, NODES, repository } from './cluster-repository.ts';

const CLIENTS = 16;
const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };

interface Started extends AsyncDisposable {
  readonly cluster: TestCluster;
  readonly connection: Connection;
  /** Two commits of the repository. */
  readonly commits: readonly [string, string];
  write(name: string, revision?: string): Promise<unknown>;
  /** Returns the references of each node. */
  references(): Promise<string[]>;
}

async function referencesOf({ nodes }: TestCluster, node: number): Promise<string> {
  const onNode = { ...repository, storageName: `gitaly-${node}` };
  const patterns = [Buffer.from('refs/')];
  const lines: string[] = [];
  const responses = nodes[node - 1]?.connection.ref.listRefs({ repository: onNode, patterns });
  for await (const { references } of responses ?? [])
    lines.push(...references.map(({ name, target }) => `${target} ${name}\n`));
  return lines.join('');
}

/** A cluster with a repository, whose nodes wait for locks of references without a limit. */
async function start(): Promise<Started> {
  const config = [{ key: 'core.filesRefLockTimeout', value: '-1' }];
  const cluster = await startCluster({ nodes: 3, gitalyConfig: { git: { config } } });
  const { connection } = cluster;
  await connection.repository.createRepository({ repository });
  const commits = [await commit(cluster, 'first'), await commit(cluster, 'second')] as const;
  return {
    ...{ cluster, connection, commits },
    write: (name, revision = commits[0]) =>
      connection.repository.writeRef({
        repository,
        ref: Buffer.from(`refs/heads/${name}`),
        revision: Buffer.from(revision),
      }),
    references: () => Promise.all(NODES.map((node) => referencesOf(cluster, node))),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

/** Branches whose writes wait. In an order of all writes, others would wait for twice MAX_HOLD_MS. */
const HELD = ['held', 'held-too'];

/** Locks branches on all nodes, as if git were writing them. Returns what unlocks them. */
function lock({ cluster }: Started): () => void {
  const files = NODES.flatMap((node) => {
    const directory = join(cluster.repositoryPath(node, repository.relativePath), 'refs/heads');
    mkdirSync(directory, { recursive: true });
    return HELD.map((branch) => join(directory, `${branch}.lock`));
  });
  for (const file of files) writeFileSync(file, '');
  return () => {
    for (const file of files) rmSync(file);
  };
}

/** The longest wait for the order of writes, as the log has it. */
function longestWaitMs({ cluster }: Started): number {
  return Math.max(0, ...cluster.log.map((line) => Number(line['cluster.wait_ms'] ?? 0)));
}

/** The duration of the push, as the log has it. */
function pushMs({ log }: TestCluster): number {
  const line = log.find((each) => each['grpc.method'] === 'PostReceivePack' && 'grpc.time_ms' in each);
  return Number(line?.['grpc.time_ms']);
}

function equalNodes(references: readonly string[]): string {
  const [first = '', ...others] = references;
  for (const other of others) assert.equal(other, first);
  return first;
}

// Born failing: each write of a repository waited for the end of the one before.
test('writes of different references run at once, while one of them waits on its nodes', async () => {
  await using started = await start();
  const { commits, connection, write } = started;
  const unlock = lock(started);
  let isHeld = true;
  const heldSinceMs = performance.now();
  const held = Promise.all(HELD.map((name) => write(name))).then(() => {
    isHeld = false;
  });

  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => write(`b${index}`)));
  await commitFiles(
    connection,
    { repository, user, branchName: Buffer.from('commits'), commitMessage: Buffer.from('m') },
    [{ type: 'create', path: 'x', content: 'x' }],
  );
  await connection.ref.updateReferences([
    {
      repository,
      updates: ['u1', 'u2'].map((name) => ({
        reference: Buffer.from(`refs/heads/${name}`),
        newObjectId: Buffer.from(commits[0]),
      })),
    },
  ]);
  assert.equal(isHeld, true);
  assert.ok(longestWaitMs(started) < MAX_HOLD_MS);

  const again = write('held', commits[1]);
  unlock();
  await Promise.all([held, again]);
  // On a very slow machine they ran at once, and either is the last.
  const isOrdered = performance.now() - heldSinceMs < MAX_HOLD_MS;
  const references = equalNodes(await started.references());
  const ends = isOrdered ? [commits[1]] : commits;
  assert.ok(ends.some((oid) => references.includes(`${oid} refs/heads/held\n`)));
  assert.equal(references.split('\n').filter((line) => / refs\/heads\/[bu]\d+$/.test(line)).length, 18);
});

test('a push does not wait for a write of another branch', async () => {
  await using started = await start();
  const { cluster, write } = started;
  await using gateway = await startHttpGateway({
    gitaly: { address: cluster.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  const directory = makeScratchDirectory('push');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  initRepository(directory, { commits: 1 });
  const unlock = lock(started);
  let isHeld = true;
  const held = Promise.all(HELD.map((name) => write(name))).then(() => {
    isHeld = false;
  });

  const refspecs = ['HEAD:refs/heads/pushed', 'HEAD:refs/heads/pushed-too'];
  await runGit(['-C', directory, 'push', '-q', `${gateway.url}/${repository.relativePath}`, ...refspecs]);

  assert.equal(isHeld, true);
  assert.ok(pushMs(cluster) < MAX_HOLD_MS);
  unlock();
  await held;
  assert.match(equalNodes(await started.references()), /refs\/heads\/pushed-too/);
});

test('writes of a reference and of references below it leave all nodes with the same', async () => {
  await using started = await start();
  const { commits, write } = started;
  const codes = new Set<unknown>();
  const client = async (_: unknown, index: number): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      const name = index % 2 === 0 ? `d${round}` : `d${round}/${index}`;
      await write(name, commits[index % 4 === 0 ? 0 : 1]).catch((error) => codes.add(error.code));
    }
  };

  await Promise.all(Array.from({ length: 8 }, client));

  const references = equalNodes(await started.references());
  for (const round of [0, 1, 2]) assert.match(references, new RegExp(`refs/heads/d${round}[\\n/]`));
  assert.deepEqual([...codes], ['INTERNAL'], 'git refuses the second of them');
  const failures = started.cluster.log.filter(({ msg }) => msg === 'proxying to secondary failed');
  assert.deepEqual(
    failures.filter(({ error }) => /lock file|Unable to create/.test(String(error))),
    [],
  );
});

test('writes of a repository whose references have one lock run one after another', {
  skip: needsGit('reftable'),
}, async () => {
  await using started = await start();
  const { cluster, connection, write } = started;
  const other = { storageName: 'default', relativePath: 'files.git' };
  await connection.repository.createRepository({ repository: other });
  // Praefect knows from now on that the nodes check what they lock.
  await connection.repository.writeRef({
    repository: other,
    ref: Buffer.from('HEAD'),
    revision: Buffer.from('refs/heads/other'),
  });
  await connection.repository.migrateReferenceBackend(
    { repository, targetReferenceBackend: Backend.REFTABLE },
    { metadata: { 'x-gitaly-migrate-references': 'true' } },
  );

  for (let round = 0; round < 3; round++)
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => write(`r${round}-${index}`)));

  assert.equal(equalNodes(await started.references()).match(/refs\/heads\/r/g)?.length, 3 * CLIENTS);
  assert.deepEqual(
    cluster.log.filter(({ level, msg }) => level === 'error' || msg === 'proxying to secondary failed'),
    [],
  );
});
