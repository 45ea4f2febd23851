/** A database with the tables of a feed, for tests. */
import type { RepositoryEvent } from '#events/event';
import { type Database, sql } from '#praefect/database/database';
import { clusterJournal } from '#praefect/feed/cluster-journal';
import { createFeed } from '#praefect/feed/feed-tables';

/** Virtual storage of the tests' repositories. */
export const VIRTUAL_STORAGE = 'default';

/** Starts the feed of a migrated database from its beginning, without repositories, and returns it. */
export async function createTestFeed(database: Database): Promise<Database> {
  await createFeed(database, [VIRTUAL_STORAGE]);
  await database.run(sql`TRUNCATE repositories, gitalyts_feed_changes, gitalyts_feed_events,
    gitalyts_feed_repositories, gitalyts_feed_sender, gitalyts_feed_webhooks CASCADE`);
  await database.run(sql`UPDATE gitalyts_feed_state SET last = 0, compacted = 0`);
  return database;
}

const FIRST: Readonly<Record<string, number>> = { 'gitaly-1': 1 };

/**
 * Records a repository whose relative path is `<id>.git` and whose replica path is `@cluster/<id>`.
 *
 * @param replicas generation of each replica; that of the repository is 1.
 */
export async function addRepository(
  database: Database,
  id: number,
  { primary = 'gitaly-1', replicas = FIRST } = {},
): Promise<void> {
  const path = `${id}.git`;
  await database.run(sql`INSERT INTO repositories
    VALUES (${VIRTUAL_STORAGE}, ${path}, 1, ${primary}, ${id}, ${`@cluster/${id}`})`);
  for (const [storage, generation] of Object.entries(replicas))
    await database.run(sql`INSERT INTO storage_repositories
      VALUES (${VIRTUAL_STORAGE}, ${path}, ${storage}, ${generation}, ${id})`);
}

/** Records a write that all up-to-date replicas have. */
export async function addWrite(database: Database, id: number): Promise<void> {
  await database.run(sql`WITH written AS (
      UPDATE repositories SET generation = generation + 1 WHERE repository_id = ${id}
      RETURNING generation
    )
    UPDATE storage_repositories SET generation = written.generation FROM written
    WHERE repository_id = ${id} AND storage_repositories.generation = written.generation - 1`);
}

/** Returns the ids of the repositories with changes for which no events were made yet. */
export async function changedRepositories(database: Database): Promise<number[]> {
  const rows = await database.rows(sql<{ id: number }>`
    SELECT DISTINCT repository_id AS id FROM gitalyts_feed_changes ORDER BY id`);
  return rows.map(({ id }) => id);
}

/** Returns an event as a short text: its kind, path, reference and values. */
export function brief({ kind, newValue, oldValue, previousPath, reference, relativePath }: RepositoryEvent) {
  const moved = reference && `${reference}: ${oldValue ?? '-'} > ${newValue ?? '-'}`;
  const renamed = previousPath && `was ${previousPath}`;
  return [kind, relativePath, moved, renamed].filter(Boolean).join(' ');
}

/** Returns the events of a virtual storage after a sequence, as short texts. */
export async function eventsIn(
  database: Database,
  { after = 0, storage = VIRTUAL_STORAGE } = {},
): Promise<string[]> {
  const journal = clusterJournal(database, storage);
  const row = await database.row(sql<{ last: number; oldest: number }>`
    SELECT last, compacted AS oldest FROM gitalyts_feed_state`);
  journal.moveTo(row ?? { last: 0, oldest: 0 });
  const events = await Array.fromAsync(journal.read(after));
  return events.flat().map(brief);
}
