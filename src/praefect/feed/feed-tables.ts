import { type Database, sql } from '../database/database.ts';

/**
 * Tables of the change feed. A trigger records each change of a repository in the transaction of
 * the change: for every writer, and before the client gets its response. Events are made from these
 * records and the references.
 */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_state (
    is_only boolean PRIMARY KEY CHECK (is_only),
    last bigint NOT NULL,
    compacted bigint NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_changes (
    id bigserial PRIMARY KEY,
    kind text NOT NULL,
    repository_id bigint NOT NULL,
    virtual_storage text NOT NULL,
    relative_path text NOT NULL,
    previous_path text
  )`,
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_events (
    sequence bigint PRIMARY KEY,
    virtual_storage text NOT NULL,
    kind text NOT NULL,
    relative_path text NOT NULL,
    previous_path text,
    reference bytea,
    old_value text,
    new_value text,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  // Who made the change: JSON.
  'ALTER TABLE gitalyts_feed_events ADD COLUMN IF NOT EXISTS changed_by text',
  // The result of all events: sequences of the latest ones of each repository and reference. A
  // reference without an event has the sequence 0.
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_repositories (
    repository_id bigint PRIMARY KEY,
    virtual_storage text NOT NULL,
    relative_path text NOT NULL,
    created bigint,
    resync bigint,
    is_listed boolean NOT NULL
  )`,
  // Position in the journal of a node up to which the feed knows the changes of the repository.
  `ALTER TABLE gitalyts_feed_repositories
    ADD COLUMN IF NOT EXISTS node text,
    ADD COLUMN IF NOT EXISTS node_journal text,
    ADD COLUMN IF NOT EXISTS node_sequence bigint`,
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_references (
    repository_id bigint NOT NULL REFERENCES gitalyts_feed_repositories ON DELETE CASCADE,
    name bytea NOT NULL,
    value text NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (repository_id, name)
  )`,
  // The Praefect that sends webhooks, until a time, and how far each webhook is.
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_sender (
    is_only boolean PRIMARY KEY CHECK (is_only),
    owner text NOT NULL,
    expires_at timestamptz NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS gitalyts_feed_webhooks (
    virtual_storage text NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (virtual_storage, name)
  )`,
  `CREATE INDEX IF NOT EXISTS gitalyts_feed_repositories_created
    ON gitalyts_feed_repositories (created)`,
  `CREATE INDEX IF NOT EXISTS gitalyts_feed_repositories_resync
    ON gitalyts_feed_repositories (resync)`,
  'CREATE INDEX IF NOT EXISTS gitalyts_feed_references_sequence ON gitalyts_feed_references (sequence)',
  `CREATE OR REPLACE FUNCTION gitalyts_feed_note() RETURNS trigger LANGUAGE plpgsql AS $body$
  BEGIN
    IF TG_OP = 'INSERT' THEN
      INSERT INTO gitalyts_feed_changes (kind, repository_id, virtual_storage, relative_path)
      VALUES ('created', new.repository_id, new.virtual_storage, new.relative_path);
    ELSIF TG_OP = 'DELETE' THEN
      INSERT INTO gitalyts_feed_changes (kind, repository_id, virtual_storage, relative_path)
      VALUES ('removed', old.repository_id, old.virtual_storage, old.relative_path);
    ELSE
      IF new.relative_path <> old.relative_path THEN
        INSERT INTO gitalyts_feed_changes
          (kind, repository_id, virtual_storage, relative_path, previous_path)
        VALUES
          ('renamed', new.repository_id, new.virtual_storage, new.relative_path, old.relative_path);
      END IF;
      IF new.generation IS DISTINCT FROM old.generation THEN
        INSERT INTO gitalyts_feed_changes (kind, repository_id, virtual_storage, relative_path)
        VALUES ('written', new.repository_id, new.virtual_storage, new.relative_path);
      END IF;
    END IF;
    RETURN NULL;
  END
  $body$`,
];

const TRIGGER = `CREATE TRIGGER gitalyts_feed AFTER INSERT OR UPDATE OR DELETE ON repositories
  FOR EACH ROW EXECUTE FUNCTION gitalyts_feed_note()`;

/** Lock that is held while the tables change, and for nothing else. */
const LOCK = sql`SELECT pg_advisory_xact_lock(hashtext('gitalyts_feed'))`;

const HAS_TRIGGER = sql<{ found: boolean }>`SELECT EXISTS (
  SELECT FROM pg_trigger WHERE tgname = 'gitalyts_feed' AND tgrelid = to_regclass('repositories')
) AS found`;

/**
 * Creates missing tables and triggers, and records changes from now on. Earlier changes are
 * unknown: an event for all virtual storages reports that, unless there was no feed before.
 */
export async function createFeed(database: Database, virtualStorages: readonly string[]): Promise<void> {
  await database.transaction(async (executor) => {
    await LOCK.execute(executor);
    for (const statement of TABLES) await sql.raw(statement).execute(executor);
    const [row] = (await HAS_TRIGGER.execute(executor)).rows;
    if (row?.found === true) return;
    await sql.raw(TRIGGER).execute(executor);
    await sql`DELETE FROM gitalyts_feed_changes`.execute(executor);
    await sql`DELETE FROM gitalyts_feed_repositories`.execute(executor);
    await sql`INSERT INTO gitalyts_feed_state (is_only, last, compacted) VALUES (true, 0, 0)
      ON CONFLICT DO NOTHING`.execute(executor);
    await sql`WITH counted AS (
        UPDATE gitalyts_feed_state SET last = last + ${virtualStorages.length}
        WHERE last > 0 RETURNING last
      )
      INSERT INTO gitalyts_feed_events (sequence, virtual_storage, kind, relative_path)
      SELECT last - ${virtualStorages.length} + place, name, 'resync', ''
      FROM counted, unnest(${virtualStorages}::text[]) WITH ORDINALITY AS each(name, place)`.execute(
      executor,
    );
  });
}

/** Stops recording changes, because no process makes events of them. */
export async function stopFeed(database: Database): Promise<void> {
  const row = await database.row(HAS_TRIGGER);
  if (row?.found === true) await database.run(sql`DROP TRIGGER IF EXISTS gitalyts_feed ON repositories`);
}
