import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { databaseStatus } from './database-status.ts';

const CONFIG = {
  virtualStorage: [
    {
      name: 'default',
      defaultReplicationFactor: 0,
      node: ['gitaly-1', 'gitaly-2', 'gitaly-3'].map((storage) => ({
        storage,
        address: 'x',
        token: undefined,
      })),
    },
  ],
};

test('the status of nodes follows from the tables', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await database.run(sql`INSERT INTO node_status
    (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at) VALUES
    ('one', 'default', 'gitaly-1', now(), now()),
    ('one', 'default', 'gitaly-2', now(), now() - INTERVAL '20 seconds'),
    ('one', 'default', 'gitaly-3', now(), now()),
    ('gone', 'default', 'gitaly-2', now() - INTERVAL '90 seconds', now() - INTERVAL '90 seconds')`);
  // 1 is complete, 2 is outdated on a node and missing on another, 3 is assigned to one node, which
  // is not healthy. 4 has assigned nodes that are not configured, so all count.
  await database.run(sql`INSERT INTO repositories
    (virtual_storage, relative_path, replica_path, generation, "primary", repository_id) VALUES
    ('default', 'a.git', 'a.git', 1, 'gitaly-1', 1), ('default', 'b.git', 'b.git', 4, 'gitaly-1', 2),
    ('default', 'c.git', 'c.git', 0, 'gitaly-2', 3), ('default', 'd.git', 'd.git', 0, NULL, 4)`);
  await database.run(sql`INSERT INTO storage_repositories
    (virtual_storage, relative_path, storage, generation, repository_id) VALUES
    ('default', 'a.git', 'gitaly-1', 1, 1), ('default', 'a.git', 'gitaly-2', 1, 1),
    ('default', 'a.git', 'gitaly-3', 1, 1), ('default', 'b.git', 'gitaly-1', 4, 2),
    ('default', 'b.git', 'gitaly-2', 2, 2), ('default', 'c.git', 'gitaly-2', 0, 3),
    ('default', 'd.git', 'gitaly-1', 0, 4), ('default', 'd.git', 'gitaly-2', 0, 4),
    ('default', 'd.git', 'gitaly-3', 0, 4)`);
  await database.run(sql`INSERT INTO repository_assignments
    (virtual_storage, relative_path, storage, repository_id) VALUES
    ('default', 'c.git', 'gitaly-2', 3), ('default', 'd.git', 'gitaly-9', 4)`);
  await database.run(sql`INSERT INTO replication_queue (state, created_at, job) VALUES
    ('ready', '2026-01-02 03:04:05', '{"virtual_storage":"default","target_node_storage":"gitaly-2"}'),
    ('failed', '2026-01-02 03:04:06', '{"virtual_storage":"default","target_node_storage":"gitaly-2"}'),
    ('completed', '2025-01-02 03:04:05', '{"virtual_storage":"default","target_node_storage":"gitaly-2"}')`);

  const { praefects, virtualStorages } = await databaseStatus(database, CONFIG);

  const [{ storages = [], ...facts } = {}] = virtualStorages;
  assert.deepEqual(facts, {
    name: 'default',
    repositories: 4,
    unavailable: 1,
    unavailablePaths: ['c.git'],
  });
  assert.deepEqual(
    storages.map(({ lastSeen, ...each }) => ({ ...each, wasSeen: lastSeen !== undefined })),
    [
      { storage: 'gitaly-1', isHealthy: true, primaries: 2, assigned: 3, outdated: 0, jobs: 0 },
      { storage: 'gitaly-2', isHealthy: false, primaries: 1, assigned: 4, outdated: 1, jobs: 2 },
      { storage: 'gitaly-3', isHealthy: true, primaries: 0, assigned: 3, outdated: 1, jobs: 0 },
    ].map((each) => ({
      ...each,
      oldestJob: each.jobs === 0 ? undefined : new Date('2026-01-02T03:04:05Z'),
      wasSeen: true,
    })),
  );
  assert.deepEqual(
    praefects?.map(({ name }) => name),
    ['one'],
  );
});

test('a cluster that has done nothing yet has no repositories and no healthy nodes', { skip }, async () => {
  await using postgres = await startPostgres();
  const [virtualStorage] = CONFIG.virtualStorage;
  assert.ok(virtualStorage);
  const config = { virtualStorage: [virtualStorage, { ...virtualStorage, name: 'other' }] };
  await postgres.database.run(sql`INSERT INTO repositories
    (virtual_storage, relative_path, replica_path, generation, "primary", repository_id)
    VALUES ('other', 'a.git', 'a.git', 1, NULL, 1)`);

  const { praefects, virtualStorages } = await databaseStatus(postgres.database, config);

  const nothing = { isHealthy: false, lastSeen: undefined, jobs: 0, oldestJob: undefined };
  const storages = (assigned: number) =>
    ['gitaly-1', 'gitaly-2', 'gitaly-3'].map((storage) => ({
      ...{ storage, ...nothing, primaries: 0, assigned, outdated: assigned },
    }));
  assert.deepEqual(praefects, []);
  assert.deepEqual(virtualStorages, [
    { name: 'default', repositories: 0, unavailable: 0, unavailablePaths: [], storages: storages(0) },
    { name: 'other', repositories: 1, unavailable: 1, unavailablePaths: ['a.git'], storages: storages(1) },
  ]);
});
