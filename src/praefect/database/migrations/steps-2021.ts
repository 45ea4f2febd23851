import type { Migration } from './migration.ts';
import {
  HEALTHY_STORAGES,
  REPOSITORY_GENERATIONS,
  VALID_PRIMARIES,
  VALID_PRIMARIES_OF_PATHS,
  VALID_PRIMARIES_WITH_IDS,
} from './views.ts';

const UNFINISHED = "state NOT IN ('completed', 'cancelled', 'dead')";
const BY_PATH =
  'FOREIGN KEY (virtual_storage, relative_path) REFERENCES repositories (virtual_storage, relative_path)';
const CASCADE = 'ON UPDATE CASCADE ON DELETE CASCADE';
const PATH_KEY = 'repository_assignments_virtual_storage_relative_path_fkey';

/** Copies ids from `repositories` to the rows of a table that have the same path. */
const linkIds = (table: string): string => `
  UPDATE ${table} AS linked SET repository_id = repositories.repository_id
  FROM repositories
  WHERE (repositories.virtual_storage, repositories.relative_path)
    = (linked.virtual_storage, linked.relative_path)`;

const replicaKey = (onDelete: string): string[] => [
  'ALTER TABLE storage_repositories DROP CONSTRAINT storage_repositories_repository_id_fkey',
  `ALTER TABLE storage_repositories ADD CONSTRAINT storage_repositories_repository_id_fkey
    FOREIGN KEY (repository_id) REFERENCES repositories (repository_id) ON DELETE ${onDelete}`,
];

const LINKED = ['storage_repositories', 'repository_assignments'];
/** Checks only new rows: the old ones are mended by the step that follows. */
const addIdCheck = LINKED.map(
  (table) =>
    `ALTER TABLE ${table} ADD CONSTRAINT repository_id_not_null CHECK (repository_id IS NOT NULL) NOT VALID`,
);
const dropIdCheck = LINKED.map((table) => `ALTER TABLE ${table} DROP CONSTRAINT repository_id_not_null`);

export const steps2021: readonly Migration[] = [
  {
    id: '20210223130233_delete_replica_unique_index',
    up: [
      `CREATE UNIQUE INDEX CONCURRENTLY delete_replica_unique_index
        ON replication_queue ((job->>'virtual_storage'), (job->>'relative_path'))
        WHERE ${UNFINISHED} AND job->>'change' = 'delete_replica'`,
    ],
    down: ['DROP INDEX delete_replica_unique_index'],
    isTransactional: false,
  },
  {
    id: '20210225101159_replication_queue_target_index',
    up: [
      `CREATE INDEX CONCURRENTLY replication_queue_target_index
        ON replication_queue ((job->>'virtual_storage'), (job->>'relative_path'),
          (job->>'target_node_storage'), (job->>'change'))
        WHERE ${UNFINISHED}`,
    ],
    down: ['DROP INDEX replication_queue_target_index'],
    isTransactional: false,
  },
  {
    id: '20210525143540_healthy_storages_view',
    up: [`CREATE VIEW healthy_storages AS ${HEALTHY_STORAGES}`],
    down: ['DROP VIEW healthy_storages'],
  },
  {
    id: '20210525173505_valid_primaries_view',
    up: [
      `CREATE VIEW repository_generations AS ${REPOSITORY_GENERATIONS}`,
      `CREATE VIEW valid_primaries AS ${VALID_PRIMARIES_OF_PATHS}`,
    ],
    down: ['DROP VIEW valid_primaries, repository_generations'],
  },
  {
    // The first definition of the view was slower and otherwise the same.
    id: '20210607124235_optimize_valid_primaries_view',
    up: [`CREATE OR REPLACE VIEW valid_primaries AS ${VALID_PRIMARIES_OF_PATHS}`],
    down: [`CREATE OR REPLACE VIEW valid_primaries AS ${VALID_PRIMARIES_OF_PATHS}`],
  },
  {
    id: '20210727085659_repository_ids',
    up: [
      'CREATE UNIQUE INDEX repository_lookup_index ON repositories (virtual_storage, relative_path)',
      // PostgreSQL 11 gave the key another name.
      `ALTER TABLE repository_assignments DROP CONSTRAINT IF EXISTS ${PATH_KEY},
        DROP CONSTRAINT IF EXISTS repository_assignments_virtual_storage_fkey`,
      'ALTER TABLE repositories DROP CONSTRAINT repositories_pkey',
      `ALTER TABLE repository_assignments ADD CONSTRAINT ${PATH_KEY} ${BY_PATH} ${CASCADE}`,
      'ALTER TABLE repositories ADD repository_id bigserial PRIMARY KEY',
      `ALTER TABLE repository_assignments
        ADD repository_id bigint REFERENCES repositories (repository_id) ON DELETE CASCADE`,
      `ALTER TABLE storage_repositories
        ADD repository_id bigint REFERENCES repositories (repository_id) ON DELETE SET NULL`,
    ],
    down: [
      'ALTER TABLE storage_repositories DROP repository_id',
      'ALTER TABLE repository_assignments DROP repository_id',
      'ALTER TABLE repositories DROP repository_id',
      `ALTER TABLE repository_assignments DROP CONSTRAINT ${PATH_KEY}`,
      'DROP INDEX repository_lookup_index',
      'ALTER TABLE repositories ADD PRIMARY KEY (virtual_storage, relative_path)',
      `ALTER TABLE repository_assignments ADD CONSTRAINT ${PATH_KEY} ${BY_PATH} ${CASCADE}`,
    ],
  },
  {
    id: '20210906130405_add_replica_path',
    up: ['ALTER TABLE repositories ADD replica_path text'],
    down: ['ALTER TABLE repositories DROP replica_path'],
  },
  {
    id: '20210906145021_link_repository_id',
    up: [
      // Caches hold no ids, so nothing needs a notification of this change.
      'ALTER TABLE storage_repositories DISABLE TRIGGER notify_on_update',
      ...LINKED.map(linkIds),
      'ALTER TABLE storage_repositories ENABLE TRIGGER notify_on_update',
    ],
    down: [],
  },
  {
    id: '20210914115710_storage_cleanups_table',
    up: [
      `CREATE TABLE storage_cleanups (
        virtual_storage text,
        storage text,
        last_run timestamp,
        triggered_at timestamp,
        PRIMARY KEY (virtual_storage, storage)
      )`,
    ],
    down: ['DROP TABLE storage_cleanups'],
  },
  {
    id: '20210921131816_backfill_replica_path',
    up: ['UPDATE repositories SET replica_path = relative_path'],
    down: [],
  },
  {
    id: '20210922091614_repository_id_primary_key_indexes',
    up: LINKED.map((table) => `CREATE UNIQUE INDEX ${table}_new_pkey ON ${table} (repository_id, storage)`),
    down: LINKED.map((table) => `DROP INDEX ${table}_new_pkey`),
  },
  {
    id: '20210922143752_storage_repositories_cascade_delete',
    up: replicaKey('CASCADE'),
    down: replicaKey('SET NULL'),
  },
  {
    id: '20210923155827_valid_primaries_view_repository_id',
    // The columns of a view cannot be replaced.
    up: ['DROP VIEW valid_primaries', `CREATE VIEW valid_primaries AS ${VALID_PRIMARIES_WITH_IDS}`],
    down: ['DROP VIEW valid_primaries', `CREATE VIEW valid_primaries AS ${VALID_PRIMARIES_OF_PATHS}`],
  },
  {
    id: '20210927083631_repository_path_index',
    up: [
      `CREATE INDEX CONCURRENTLY repository_replica_path_index
        ON repositories (replica_path, virtual_storage)`,
    ],
    down: ['DROP INDEX repository_replica_path_index'],
    isTransactional: false,
  },
  {
    id: '20211018142158_valid_primaries_view_join_repo_id',
    up: [`CREATE OR REPLACE VIEW valid_primaries AS ${VALID_PRIMARIES}`],
    down: [`CREATE OR REPLACE VIEW valid_primaries AS ${VALID_PRIMARIES_WITH_IDS}`],
  },
  {
    id: '20211025113445_remove_cancelled_replication_events',
    up: ["DELETE FROM replication_queue WHERE state = 'cancelled'"],
    down: [],
  },
  { id: '20211105100456_check_non_null_repository_id', up: addIdCheck, down: dropIdCheck },
  {
    id: '20211105100458_non_nullable_repository_id',
    up: [
      // Rows of repositories that were deleted long ago: no cache has them.
      'ALTER TABLE storage_repositories DISABLE TRIGGER notify_on_delete',
      'DELETE FROM storage_repositories WHERE repository_id IS NULL',
      'ALTER TABLE storage_repositories ENABLE TRIGGER notify_on_delete',
      ...LINKED.map((table) => `ALTER TABLE ${table} ALTER repository_id SET NOT NULL`),
      ...dropIdCheck,
    ],
    down: [...addIdCheck, ...LINKED.map((table) => `ALTER TABLE ${table} ALTER repository_id DROP NOT NULL`)],
  },
];
