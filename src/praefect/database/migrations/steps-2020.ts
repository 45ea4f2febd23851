import type { Migration } from './migration.ts';

const UTC_NOW = "(NOW() AT TIME ZONE 'UTC')";
const JOB_STATES = "'ready', 'in_progress', 'completed', 'cancelled', 'failed', 'dead'";
const DROP_QUEUE = [
  'DROP TABLE IF EXISTS replication_queue_job_lock, replication_queue, replication_queue_lock CASCADE',
  'DROP TYPE IF EXISTS replication_job_state',
];

/** Tables of the replication queue. An early version of one step created them, so two steps do. */
const CREATE_QUEUE = [
  `DO $do$
  BEGIN
    IF to_regtype('replication_job_state') IS NULL THEN
      CREATE TYPE replication_job_state AS ENUM (${JOB_STATES});
    END IF;
  END
  $do$`,
  `CREATE TABLE IF NOT EXISTS replication_queue_lock (
    id text PRIMARY KEY,
    acquired boolean NOT NULL DEFAULT false
  )`,
  `CREATE TABLE IF NOT EXISTS replication_queue (
    id bigserial PRIMARY KEY,
    state replication_job_state NOT NULL DEFAULT 'ready',
    created_at timestamp NOT NULL DEFAULT ${UTC_NOW},
    updated_at timestamp,
    attempt integer NOT NULL DEFAULT 3,
    lock_id text,
    job jsonb,
    meta jsonb
  )`,
  `CREATE TABLE IF NOT EXISTS replication_queue_job_lock (
    job_id bigint REFERENCES replication_queue (id),
    lock_id text REFERENCES replication_queue_lock (id),
    triggered_at timestamp NOT NULL DEFAULT ${UTC_NOW},
    CONSTRAINT replication_queue_job_lock_pk PRIMARY KEY (job_id, lock_id)
  )`,
];

const FINISHED_JOBS = "DELETE FROM replication_queue WHERE state IN ('dead', 'completed')";

/** Notifications of this form had the complete rows. */
const NOTIFY_WITH_ROWS = `CREATE OR REPLACE FUNCTION notify_on_change() RETURNS trigger
LANGUAGE plpgsql AS $body$
DECLARE
  before json;
  after json;
BEGIN
  IF TG_OP <> 'INSERT' THEN SELECT json_agg(row_to_json(r)) INTO before FROM old AS r; END IF;
  IF TG_OP <> 'DELETE' THEN SELECT json_agg(row_to_json(r)) INTO after FROM new AS r; END IF;
  PERFORM pg_notify(TG_ARGV[TG_NARGS - 1], json_build_object('old', before, 'new', after)::text);
  RETURN NULL;
END
$body$`;

/**
 * Returns the function that notifies of changed repositories: `[{"virtual_storage": …,
 * "relative_paths": […]}, …]`, and of nothing for no change.
 *
 * @param changed condition on `was` and `now`, the rows of an update.
 */
export function notifyWithPaths(changed: string): string {
  const message = (rows: string): string => `
    SELECT jsonb_agg(jsonb_build_object('virtual_storage', g.vs, 'relative_paths', g.paths)) INTO message
    FROM (
      SELECT virtual_storage AS vs, array_agg(DISTINCT relative_path) AS paths
      FROM ${rows}
      GROUP BY virtual_storage
    ) AS g;`;
  return `CREATE OR REPLACE FUNCTION notify_on_change() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
  message jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN ${message('new')}
  ELSIF TG_OP = 'DELETE' THEN ${message('old')}
  ELSE ${message(`old AS was FULL JOIN new AS now USING (virtual_storage, relative_path) WHERE ${changed}`)}
  END IF;
  IF message IS NOT NULL THEN
    PERFORM pg_notify(TG_ARGV[TG_NARGS - 1], message::text);
  END IF;
  RETURN NULL;
END
$body$`;
}

function notifyTrigger(event: 'INSERT' | 'UPDATE' | 'DELETE', table: string): string {
  const rows = {
    INSERT: 'NEW TABLE AS new',
    DELETE: 'OLD TABLE AS old',
    UPDATE: 'OLD TABLE AS old NEW TABLE AS new',
  };
  return `CREATE TRIGGER notify_on_${event.toLowerCase()} AFTER ${event} ON ${table}
    REFERENCING ${rows[event]} FOR EACH STATEMENT EXECUTE FUNCTION notify_on_change('${table}_updates')`;
}

export const steps2020: readonly Migration[] = [
  {
    id: '20200109161404_hello_world',
    up: ['CREATE TABLE hello_world (id integer)'],
    down: ['DROP TABLE hello_world'],
  },
  {
    id: '20200113151438_1_test_migration',
    up: ['INSERT INTO hello_world VALUES (1)'],
    down: ['DELETE FROM hello_world WHERE id = 1'],
  },
  { id: '20200224220728_job_queue', up: CREATE_QUEUE, down: DROP_QUEUE },
  { id: '20200225220728_readd_job_queue', up: CREATE_QUEUE, down: DROP_QUEUE },
  {
    id: '20200324001604_add_sql_election_tables',
    up: [
      `CREATE TABLE node_status (
        id bigserial PRIMARY KEY,
        praefect_name varchar(511) NOT NULL,
        shard_name varchar(255) NOT NULL,
        node_name varchar(255) NOT NULL,
        last_contact_attempt_at timestamptz,
        last_seen_active_at timestamptz
      )`,
      `CREATE UNIQUE INDEX shard_node_names_on_node_status_idx
        ON node_status (praefect_name, shard_name, node_name)`,
      'CREATE INDEX shard_name_on_node_status_idx ON node_status (shard_name, node_name)',
      `CREATE TABLE shard_primaries (
        id bigserial PRIMARY KEY,
        shard_name varchar(255) NOT NULL,
        node_name varchar(255) NOT NULL,
        elected_by_praefect varchar(255) NOT NULL,
        elected_at timestamptz NOT NULL
      )`,
      'CREATE UNIQUE INDEX shard_name_on_shard_primaries_idx ON shard_primaries (shard_name)',
    ],
    down: ['DROP TABLE shard_primaries, node_status'],
  },
  {
    id: '20200422131451_add_shard_read_only_column',
    up: [
      `ALTER TABLE shard_primaries
        ADD read_only boolean NOT NULL DEFAULT false,
        ADD demoted boolean NOT NULL DEFAULT false`,
    ],
    down: ['ALTER TABLE shard_primaries DROP read_only, DROP demoted'],
  },
  {
    id: '20200512131219_replication_job_indexing',
    up: [
      `CREATE INDEX IF NOT EXISTS virtual_target_on_replication_queue_idx
        ON replication_queue ((job->>'virtual_storage'), (job->>'target_node_storage'))`,
    ],
    down: ['DROP INDEX IF EXISTS virtual_target_on_replication_queue_idx'],
  },
  {
    id: '20200527103816_drop_old_gitaly_tables',
    up: [
      `DROP TABLE IF EXISTS gitaly_replication_queue_job_lock, gitaly_replication_queue,
        gitaly_replication_queue_lock CASCADE`,
    ],
    down: [],
  },
  {
    id: '20200602154246_remember_previous_writable_primary',
    up: ['ALTER TABLE shard_primaries ADD previous_writable_primary text'],
    down: ['ALTER TABLE shard_primaries DROP previous_writable_primary'],
  },
  {
    id: '20200707101830_repositories_table',
    up: [
      `CREATE TABLE repositories (
        virtual_storage text,
        relative_path text,
        generation bigint NOT NULL,
        PRIMARY KEY (virtual_storage, relative_path)
      )`,
      `CREATE TABLE storage_repositories (
        virtual_storage text,
        relative_path text,
        storage text,
        generation bigint NOT NULL,
        PRIMARY KEY (virtual_storage, relative_path, storage)
      )`,
    ],
    down: ['DROP TABLE storage_repositories, repositories'],
  },
  { id: '20200810055650_replication_queue_cleanup', up: [FINISHED_JOBS], down: [] },
  {
    id: '20200921154417_repositories_nullable_generation',
    up: ['ALTER TABLE repositories ALTER generation DROP NOT NULL'],
    down: [],
  },
  {
    id: '20200921170311_repositories_primary_column',
    up: ['ALTER TABLE repositories ADD "primary" text'],
    down: ['ALTER TABLE repositories DROP "primary"'],
  },
  {
    id: '20201006125956_trigger_repository_update_generation',
    up: [
      NOTIFY_WITH_ROWS,
      notifyTrigger('DELETE', 'repositories'),
      notifyTrigger('INSERT', 'storage_repositories'),
      notifyTrigger('UPDATE', 'storage_repositories'),
      notifyTrigger('DELETE', 'storage_repositories'),
    ],
    down: [
      'DROP TRIGGER IF EXISTS notify_on_delete ON repositories',
      'DROP TRIGGER IF EXISTS notify_on_insert ON storage_repositories',
      'DROP TRIGGER IF EXISTS notify_on_update ON storage_repositories',
      'DROP TRIGGER IF EXISTS notify_on_delete ON storage_repositories',
      'DROP FUNCTION IF EXISTS notify_on_change',
    ],
  },
  {
    id: '20201102115118_variable_replication_factor',
    up: ['ALTER TABLE storage_repositories ADD assigned boolean NOT NULL DEFAULT true'],
    down: ['ALTER TABLE storage_repositories DROP assigned'],
  },
  {
    id: '20201102171914_virtual_storage_configuration',
    up: [
      `CREATE TABLE virtual_storages (
        virtual_storage text PRIMARY KEY,
        repositories_imported boolean NOT NULL DEFAULT false
      )`,
    ],
    down: ['DROP TABLE virtual_storages'],
  },
  {
    id: '20201126165633_repository_assignments_table',
    up: [
      `CREATE TABLE repository_assignments (
        virtual_storage text,
        relative_path text,
        storage text,
        PRIMARY KEY (virtual_storage, relative_path, storage),
        FOREIGN KEY (virtual_storage, relative_path) REFERENCES repositories
          ON UPDATE CASCADE ON DELETE CASCADE
      )`,
    ],
    down: ['DROP TABLE repository_assignments'],
  },
  {
    id: '20201208163237_cleanup_notifiactions_payload',
    up: [notifyWithPaths('true')],
    down: [NOTIFY_WITH_ROWS],
  },
  {
    id: '20201231075619_remove_unused_assigned_column',
    up: ['ALTER TABLE storage_repositories DROP assigned'],
    down: ['ALTER TABLE storage_repositories ADD assigned boolean NOT NULL DEFAULT true'],
  },
];
