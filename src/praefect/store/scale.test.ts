import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { explained } from '#testkit/praefect/explain-statements';
import { GENERATED_STORAGES, generateCluster } from '#testkit/praefect/generate-cluster';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { type Database, sql } from '../database/database.ts';
import { electPrimary } from '../elections/elect-primary.ts';
import { untrackedRepositories } from '../repair/untracked.ts';
import { PostgresQueue } from '../replication/postgres-queue.ts';
import { Availability } from './availability.ts';
import { PostgresStore } from './postgres-store.ts';
import { ReplicaMarks } from './replica-marks.ts';
import { RepositoryLookups } from './repository-lookups.ts';
import { MetadataReader } from './repository-metadata.ts';
import { RepositoryRemovals } from './repository-removals.ts';

const skip = withoutPostgres;
const REPOSITORIES = 10_000;
const storages = new Map([['default', GENERATED_STORAGES]]);
const logger = createLogger({ format: 'json', level: 'info', stream: { write: () => {} } });

const pathOf = async (database: Database, id: number): Promise<string> =>
  (await new RepositoryLookups(database).relativePathOf(id)) ?? '';

test('statements of requests use indexes', { skip }, async () => {
  await using postgres = await startPostgres();
  await generateCluster(postgres.database, REPOSITORIES);
  const { database, fullScans } = explained(postgres.database);
  const relativePath = await pathOf(postgres.database, 5001);
  const repository = { virtualStorage: 'default', relativePath };
  const facts = { repository, repositoryId: 5001, primary: 'gitaly-1', updated: ['gitaly-2'], outdated: [] };
  const job = {
    change: 'update',
    repositoryId: 5001,
    ...repository,
    replicaPath: 'x',
    source: 'gitaly-1',
    target: 'gitaly-3',
    correlationId: 'id',
  } as const;
  const lookups = new RepositoryLookups(database);
  const metadata = new MetadataReader(database, storages);
  const store = new PostgresStore(database);
  const queue = new PostgresQueue(database, logger);
  const walk = async function* () {
    for (let number = 0; number < 16; number++) yield { relativePath: `unknown/${number}` };
  };
  // The connection is only walked.
  const connection = { internal: { walkRepos: walk } } as unknown as Parameters<
    typeof untrackedRepositories
  >[0]['connection'];

  const statements: Readonly<Record<string, () => Promise<unknown>>> = {
    'a read': () => lookups.consistentReplicas(repository),
    'a write': () => lookups.writeFacts(repository),
    'the record of a write': () => store.recordWrite(facts),
    'an existence': () => lookups.exists(repository),
    'a path': () => lookups.relativePathOf(5001),
    'an id': () => lookups.reserveId({ ...repository, relativePath: 'new.git' }),
    'a creation': () =>
      store.recordCreation({
        ...facts,
        repository: { ...repository, relativePath: 'new.git' },
        repositoryId: 20_000,
        replicaPath: 'new',
        isAssigned: true,
      }),
    'facts by path': () => metadata.byPath(repository),
    'facts by id': () => metadata.byId(5001),
    'an authoritative replica': () => new ReplicaMarks(database).setAuthoritative(repository, 'gitaly-1'),
    'a mark': () => new ReplicaMarks(database).markUnverified({ repositoryId: 5001 }),
    'a copy': () => store.planCopy(job),
    'the record of a copy': () => store.recordCopy(job, 9),
    'a job': () => queue.enqueue(job),
    'a removed replica': () => store.removeReplica(job),
    'a search for untracked repositories': () =>
      Array.fromAsync(
        untrackedRepositories({
          database,
          connection,
          virtualStorage: 'default',
          storage: 'gitaly-1',
          minAgeMs: 0,
          batchSize: 16,
          signal: new AbortController().signal,
        }),
      ),
    'an election': () => electPrimary(database, 5002, logger),
    'a removal': () => new RepositoryRemovals(database).remove(repository),
  };
  await database.rows(sql`SELECT FROM repositories WHERE generation = 7`);
  assert.deepEqual(fullScans(), ['repositories'], 'a scan is seen');
  const large = new Set(['repositories', 'storage_repositories']);
  for (const [name, run] of Object.entries(statements)) {
    await run();
    assert.deepEqual(
      fullScans().filter((table) => large.has(table)),
      [],
      name,
    );
  }
});

test('the search for lost repositories finds those of the view', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await generateCluster(database, REPOSITORIES);
  const run = (statement: ReturnType<typeof sql>) => database.run(statement);
  // A node is not healthy; a replica is about to be removed; one is assigned to a node that is not
  // configured, one to that and to another.
  await run(sql`INSERT INTO replication_queue (lock_id, job) VALUES ('x', jsonb_build_object(
    'repository_id', 11, 'change', 'delete_replica', 'virtual_storage', 'default',
    'target_node_storage', 'gitaly-1'))`);
  await run(sql`INSERT INTO repository_assignments
    SELECT virtual_storage, relative_path, 'gone', repository_id FROM repositories
    WHERE repository_id IN (21, 22)`);
  await run(sql`INSERT INTO repository_assignments
    SELECT virtual_storage, relative_path, 'gitaly-1', repository_id FROM repositories
    WHERE repository_id = 22`);
  const availability = new Availability(database, storages);
  const found = async () => {
    const pages = await Array.fromAsync(availability.partiallyAvailable('default'));
    return pages.flat().map(({ repositoryId }) => repositoryId);
  };
  const expected = async () => {
    const rows = await database.rows(sql<{ id: number }>`
      SELECT DISTINCT repository_id AS id
      FROM repositories AS each CROSS JOIN unnest(${GENERATED_STORAGES}::text[]) AS configured(storage)
      LEFT JOIN valid_primaries USING (repository_id, storage)
      WHERE valid_primaries.storage IS NULL
        AND (
          NOT EXISTS (
            SELECT FROM repository_assignments AS assigned
            WHERE assigned.repository_id = each.repository_id
              AND assigned.storage = ANY (${GENERATED_STORAGES}::text[])
          )
          OR EXISTS (
            SELECT FROM repository_assignments AS assigned
            WHERE assigned.repository_id = each.repository_id AND assigned.storage = configured.storage
          )
        )
      ORDER BY 1`);
    return rows.map(({ id }) => id);
  };
  const unavailable = async () => {
    const rows = await database.rows(sql<{ count: number }>`
      SELECT count(*) AS count FROM repositories AS each
      WHERE NOT EXISTS (SELECT FROM valid_primaries WHERE repository_id = each.repository_id)`);
    return rows[0]?.count;
  };

  assert.ok((await found()).includes(11));
  assert.deepEqual(await found(), await expected());
  assert.equal((await availability.countUnavailable(60_000)).get('default') ?? 0, await unavailable());

  await run(sql`UPDATE node_status SET last_seen_active_at = NULL WHERE node_name <> 'gitaly-3'`);
  await run(sql`ALTER TABLE storage_repositories DISABLE TRIGGER USER`); // one notification is too short
  await run(sql`DELETE FROM storage_repositories WHERE storage = 'gitaly-3' AND repository_id % 3 = 0`);
  assert.equal((await found()).length, REPOSITORIES);
  assert.deepEqual(await found(), await expected());
  assert.equal((await availability.countUnavailable(60_000)).get('default'), await unavailable());
});
