import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database, sql } from '#praefect/database/database';
import { connectClient } from '#praefect/database/limited-client';
import { deriveReplicaPath } from '#praefect/routing/replica-path';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  startPostgres,
  type TestDatabase,
  withoutOwnPostgres,
  withoutPostgres,
} from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { commit, NODES, repository } from './cluster-repository.ts';
import { FaultyLink } from './faults/faulty-link.ts';

/** The proxy needs the socket of a server that was started here. */
const SOCKET = '.s.PGSQL.5432';
/**
 * The text of a statement in a message of the extended or the simple protocol, or the name of a
 * prepared one.
 */
const ANY_STATEMENT =
  /(?:P[\s\S]{4}\0|Q[\s\S]{4})\s*(?:WITH|SELECT|INSERT|UPDATE|DELETE|BEGIN)[^\0]*\0|B[\s\S]{4}\0(?:record|route)_\w+\0/gi;
/** Health checks, copies and locks, which run at intervals. */
const BACKGROUND = /node_status|replication_queue|write_locks|pg_notify/;
/** Without verification, whose statements at any time look like those of writes. */
const WITHOUT_VERIFICATION = { background_verification: { verification_interval: '0s' } };
const skip = withoutPostgres;
const pool = {
  storageName: 'default',
  relativePath: `@pools/0a/1b/0a1b${'0'.repeat(60)}.git`,
};
const PATH = deriveReplicaPath(1, repository.relativePath);

const headOn = (cluster: TestCluster, node: number): string =>
  gitOutput(cluster.repositoryPath(node, PATH), ['rev-parse', 'refs/heads/main']);

const replicas = ({ database }: TestDatabase) =>
  database.rows(sql<{ storage: string; generation: number }>`
    SELECT storage, generation FROM storage_repositories ORDER BY storage`);

test('two Praefects share a repository: its id, generations and notifications', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, praefects: 2 });
  const [one, two] = cluster.praefects;
  assert.ok(one && two);
  await one.connection.repository.createRepository({ repository });
  for (const node of NODES) assert.ok(existsSync(cluster.repositoryPath(node, PATH)), `node ${node} has it`);
  await assert.rejects(two.connection.repository.createRepository({ repository }), {
    code: 'ALREADY_EXISTS',
    message: 'route repository creation: reserve repository id: repository already exists',
  });

  await commit(one, 'first');
  const id = await commit(two, 'second');

  for (const node of NODES) assert.equal(headOn(cluster, node), id);
  assert.deepEqual(
    await replicas(postgres),
    NODES.map((node) => ({ storage: `gitaly-${node}`, generation: 2 })),
  );
  for (const { connection } of cluster.praefects) {
    const { commit: found } = await connection.commit.findCommit({
      repository,
      revision: Buffer.from('main'),
    });
    assert.equal(found?.id, id);
  }
});

test('reads make no SQL once a repository is known', { skip: withoutOwnPostgres }, async () => {
  await using postgres = await startPostgres();
  const directory = makeScratchDirectory('link');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  await using link = await FaultyLink.start(join(postgres.config.host, SOCKET), join(directory, SOCKET));
  await using cluster = await startCluster({
    database: { ...postgres, config: { ...postgres.config, host: directory } },
  });
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  const read = () => cluster.connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  // Parameters of statements pass as text. Health checks and similar name no repository.
  let statements = 0;
  link.onRequest = (chunk) => {
    if (chunk.includes(repository.relativePath)) statements++;
    return true;
  };
  // The notification of the commit may still come.
  await until(async () => {
    const before = statements;
    await read();
    await read();
    return statements === before;
  });
  const before = statements;

  for (let count = 0; count < 50; count++) await read();

  assert.equal(statements, before);
  await commit(cluster, 'second');
  assert.ok(statements > before, 'statements are counted');
});

test('a voted write runs two statements: its route and its record', {
  skip: withoutOwnPostgres,
}, async () => {
  await using postgres = await startPostgres();
  const directory = makeScratchDirectory('link');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  await using link = await FaultyLink.start(join(postgres.config.host, SOCKET), join(directory, SOCKET));
  await using cluster = await startCluster({
    database: { ...postgres, config: { ...postgres.config, host: directory } },
    config: WITHOUT_VERIFICATION,
    nodes: 3,
  });
  await cluster.connection.repository.createRepository({ repository });
  const revision = Buffer.from(await commit(cluster, 'first'));
  const statements: string[] = [];
  link.onRequest = (chunk) => {
    for (const [text] of chunk.toString('latin1').matchAll(ANY_STATEMENT)) statements.push(text);
    return true;
  };
  const ref = Buffer.from('refs/heads/other');
  const writes: Readonly<Record<string, () => Promise<unknown>>> = {
    WriteRef: () => cluster.connection.repository.writeRef({ repository, ref, revision }),
    UserCommitFiles: () => commit(cluster, `file-${statements.length}`),
    DeleteRefs: () => cluster.connection.ref.deleteRefs({ repository, refs: [ref] }),
  };

  for (const [name, write] of Object.entries(writes)) {
    statements.length = 0;
    await write();
    const own = statements.filter((text) => !BACKGROUND.test(text));
    assert.deepEqual(
      own.map((text) => /route_write|record_write/.exec(text)?.[0]),
      ['route_write', 'record_write'],
      `${name}: ${own.join('\n')}`,
    );
  }
});

test('a database that swallows statements fails them in time', { skip: withoutOwnPostgres }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const directory = makeScratchDirectory('link');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  await using link = await FaultyLink.start(join(postgres.config.host, SOCKET), join(directory, SOCKET));
  const { user, dbname } = postgres.config;
  const settings = { host: directory, user, database: dbname, ssl: false, mayFallBack: false } as const;
  await using database = await Database.open(settings, { statementMs: 200 });
  const one = sql<{ one: number }>`SELECT 1 AS one`;
  assert.deepEqual(await database.row(one), { one: 1 });

  link.state = 'dropped';
  const late = /the database did not respond in 200 ms/;
  await assert.rejects(database.row(one), late);
  link.state = 'open';
  assert.deepEqual(await database.row(one), { one: 1 }, 'on another connection');

  await assert.rejects(
    database.transaction(async (executor) => {
      link.state = 'dropped';
      await one.execute(executor);
    }),
    late,
  );
  link.state = 'open';
  assert.deepEqual(await database.row(one), { one: 1 });
  assert.deepEqual(await database.search(sql`SELECT pg_sleep(0.3)::text AS slept`), [{ slept: '' }]);

  const listening = await connectClient(settings);
  link.state = 'dropped';
  await assert.rejects(listening.query('LISTEN changes'), /the database did not respond in 5000 ms/);
});

test('when the primary is gone a write elects another node', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 3 });
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  const { database } = postgres;
  const primary = async (): Promise<string> =>
    (await database.row(sql<{ primary: string }>`SELECT "primary" FROM repositories`))?.primary ?? '';
  const before = await primary();

  await cluster.stopNode(Number(before.slice('gitaly-'.length)));
  await until(() => commit(cluster, 'second').then(Boolean, () => false));

  assert.notEqual(await primary(), before);
  const [after] = await database.rows(sql<{ count: number }>`
    SELECT count(*) AS count FROM storage_repositories WHERE generation = 2`);
  assert.equal(after?.count, 2);
  const jobs = await database.rows(sql<{ target: string }>`
    SELECT job->>'target_node_storage' AS target FROM replication_queue`);
  assert.deepEqual(jobs, [{ target: before }]);
  const { exists } = await cluster.connection.repository.repositoryExists({ repository });
  assert.equal(exists, true);
});

test('a replica that missed a write gets a copy', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  const { database } = postgres;
  await database.run(sql`UPDATE repositories SET "primary" = 'gitaly-1'`);
  // Another old value on this node makes its vote another one.
  gitOutput(cluster.repositoryPath(3, PATH), ['update-ref', '-d', 'refs/heads/main']);

  const id = await commit(cluster, 'second');

  assert.equal(headOn(cluster, 1), id);
  await until(async () => (await replicas(postgres)).every(({ generation }) => generation === 2));
  assert.equal(headOn(cluster, 3), id);
  await until(async () => (await database.rows(sql`SELECT id FROM replication_queue`)).length === 0);
});

test('repositories and pools are removed, renamed and found by the database', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  const { connection } = cluster;
  await connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  await connection.objectPool.createObjectPool({ objectPool: { repository: pool }, origin: repository });
  await connection.objectPool.linkRepositoryToObjectPool({ objectPool: { repository: pool }, repository });

  const { objectPool } = await connection.objectPool.getObjectPool(
    { repository },
    { correlationId: 'asked' },
  );
  assert.equal(objectPool?.repository?.relativePath, pool.relativePath);
  assert.equal(objectPool?.repository?.storageName, 'default');
  const asked = cluster.nodes.flatMap(({ log }) => log.filter((line) => line.correlation_id === 'asked'));
  assert.deepEqual(
    asked.map((line) => line['grpc.method']),
    ['GetObjectPool'],
  );
  const renamed = { ...repository, relativePath: '@hashed/cc/dd/ccdd.git' };
  await connection.repository.renameRepository({ repository, relativePath: renamed.relativePath });
  const exists = async (each: typeof repository) =>
    (await connection.repository.repositoryExists({ repository: each })).exists;
  assert.deepEqual([await exists(repository), await exists(renamed)], [false, true]);
  const { commit: found } = await connection.commit.findCommit({
    repository: renamed,
    revision: Buffer.from('main'),
  });
  assert.equal(found?.subject.toString(), 'first');
  const paths: string[] = [];
  for await (const { relativePath } of connection.internal.walkRepos({ storageName: 'default' }))
    paths.push(relativePath);
  assert.deepEqual(paths, [renamed.relativePath, pool.relativePath]);

  await connection.repository.removeRepository({ repository: renamed });
  for (const node of NODES) assert.ok(!existsSync(cluster.repositoryPath(node, PATH)), `node ${node} has it`);
  await assert.rejects(connection.repository.removeRepository({ repository: renamed }), {
    code: 'NOT_FOUND',
    message: 'repository does not exist',
  });
  await assert.rejects(connection.commit.findCommit({ repository: renamed, revision: Buffer.from('main') }), {
    code: 'NOT_FOUND',
    message: 'repository not found',
  });
  await assert.rejects(connection.objectPool.getObjectPool({ repository: renamed }), {
    code: 'NOT_FOUND',
    message: 'route RPC: consistent storages: repository not found',
  });
  await connection.objectPool.deleteObjectPool({ objectPool: { repository: pool } });
  assert.deepEqual(await postgres.database.rows(sql`SELECT storage FROM storage_repositories`), []);
});

test('a fork is stored beside its source, with its path on the disks', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  await cluster.connection.repository.createRepository({ repository });
  await postgres.database.run(sql`INSERT INTO repository_assignments
    SELECT virtual_storage, relative_path, "primary", repository_id FROM repositories`);
  const fork = { ...repository, relativePath: '@hashed/ee/ff/eeff.git' };
  await cluster.connection.objectPool.createObjectPool({
    objectPool: { repository: pool },
    origin: repository,
  });

  const rows = await postgres.database.rows(sql`
    SELECT count(DISTINCT storage) AS hosts, count(DISTINCT repository_id) AS repositories
    FROM repository_assignments`);
  assert.deepEqual(rows, [{ hosts: 1, repositories: 2 }]);
  const missing = { ...repository, relativePath: 'missing.git' };
  await assert.rejects(
    cluster.connection.objectPool.createObjectPool({ objectPool: { repository: fork }, origin: missing }),
    { code: 'NOT_FOUND', message: 'route repository creation: additional repository not found' },
  );
});

test('new repositories have as many replicas as configured', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, replicationFactor: 2 });
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');

  const stored = await replicas(postgres);
  assert.equal(stored.length, 2);
  const assigned = await postgres.database.rows(
    sql`SELECT storage FROM repository_assignments ORDER BY storage`,
  );
  assert.deepEqual(
    assigned,
    stored.map(({ storage }) => ({ storage })),
  );
  const having = NODES.filter((node) => existsSync(cluster.repositoryPath(node, PATH)));
  assert.deepEqual(
    having.map((node) => `gitaly-${node}`),
    stored.map(({ storage }) => storage),
  );
});

test('replicas of a repository are compared by their checksums', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, config: WITHOUT_VERIFICATION });
  const { praefectInfo } = cluster.connection;
  await assert.rejects(praefectInfo.repositoryReplicas({ repository }), {
    code: 'INTERNAL',
    message: 'get repository id: repository not found',
  });
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');

  const { primary, replicas: others } = await praefectInfo.repositoryReplicas({ repository });

  const all = [primary, ...others];
  assert.equal(all.length, 3);
  assert.equal(new Set(all.map((each) => each?.checksum)).size, 1);
  assert.deepEqual(
    new Set(all.map((each) => each?.repository?.storageName)),
    new Set(['gitaly-1', 'gitaly-2', 'gitaly-3']),
  );
  assert.equal(primary?.repository?.relativePath, repository.relativePath);
  await assert.rejects(praefectInfo.datalossCheck({ virtualStorage: 'x' }), {
    message: 'unknown virtual storage: "x"',
  });
  rmSync(cluster.repositoryPath(2, PATH), { recursive: true });
  await assert.rejects(praefectInfo.repositoryReplicas({ repository }), {
    code: 'NOT_FOUND',
    message: 'repository not found',
  });
  await postgres.database.run(
    sql`UPDATE storage_repositories SET generation = 0 WHERE storage <> 'gitaly-2'`,
  );
  // The notification of the change may still come.
  const asked = async (): Promise<boolean> => {
    await cluster.connection.objectPool.getObjectPool({ repository });
    return false;
  };
  await assert.rejects(until(asked), {
    code: 'NOT_FOUND',
    message: 'get object pool: rpc error: code = NotFound desc = repository not found',
  });
});

test('while the database is down nothing is read or written, and then it goes on', {
  skip: withoutOwnPostgres,
}, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  const { connection } = cluster;
  await connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  const read = () => connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  await read();

  await postgres.stop();

  // The cache ends with the connection for notifications.
  await until(() =>
    read().then(
      () => false,
      ({ message }) => /^accessor call: route repository accessor: consistent storages: /.test(message),
    ),
  );
  await assert.rejects(read(), { code: 'INTERNAL' });
  await assert.rejects(
    connection.repository.writeRef({
      repository,
      ref: Buffer.from('refs/heads/x'),
      revision: Buffer.from('refs/heads/main'),
    }),
    { code: 'INTERNAL', message: /^mutator call: route repository mutator: get repository id: / },
  );
  const before = headOn(cluster, 1);

  await postgres.restart();

  await until(() => read().then(Boolean, () => false));
  assert.equal(headOn(cluster, 1), before);
  await until(() => commit(cluster, 'second').then(Boolean, () => false));
  for (const node of NODES) assert.notEqual(headOn(cluster, node), before);
});

test('strategy sql: the database elects one primary for all repositories', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await using cluster = await startCluster({
    database: postgres,
    config: {
      i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
      failover: { election_strategy: 'sql', bootstrap_interval: '1ms', monitor_interval: '50ms' },
    },
  });
  const primary = async () =>
    (
      await database.row(sql<{ name: string }>`
        SELECT node_name AS name FROM shard_primaries WHERE shard_name = 'default' AND NOT demoted`)
    )?.name;
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  assert.equal(await primary(), 'gitaly-1');
  for (const node of NODES)
    assert.ok(
      existsSync(cluster.repositoryPath(node, repository.relativePath)),
      'the path is that of clients',
    );
  assert.deepEqual(
    (await replicas(postgres)).map(({ generation }) => generation),
    [1, 1, 1],
  );

  await cluster.stopNode(1);
  await until(async () => {
    await database.run(sql`UPDATE node_status SET last_seen_active_at = NULL WHERE node_name = 'gitaly-1'`);
    await database.run(sql`UPDATE shard_primaries SET elected_at = now() - interval '11 seconds'
      WHERE node_name = 'gitaly-1'`);
    return (await primary()) !== 'gitaly-1';
  });
  const id = await commit(cluster, 'second');

  const { commit: found } = await cluster.connection.commit.findCommit({
    repository,
    revision: Buffer.from('main'),
  });
  assert.equal(found?.id, id);
  assert.deepEqual(
    await replicas(postgres),
    NODES.map((node) => ({ storage: `gitaly-${node}`, generation: node === 1 ? 1 : 2 })),
  );
  const { repositories } = await cluster.connection.praefectInfo.datalossCheck({
    virtualStorage: 'default',
    includePartiallyReplicated: true,
  });
  assert.equal(repositories[0]?.unavailable, false);

  // A repository that was on the primary before praefect had a database gets its record.
  await database.run(sql`DELETE FROM repositories`);
  const unknown = await commit(cluster, 'third');
  await until(async () => (await replicas(postgres)).length === 2);
  for (const node of [2, 3])
    assert.equal(
      gitOutput(cluster.repositoryPath(node, repository.relativePath), ['rev-parse', 'refs/heads/main']),
      unknown,
    );
});
