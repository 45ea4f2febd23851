import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import { untrackedRepositories } from './untracked.ts';

const REFRESH_MS = 29_900;
/** Age after which the search of another Praefect counts as given up. */
const ABANDONED_MS = 30_000;
const MIN_AGE_MS = 24 * 3_600_000;

export interface CleanerOptions {
  readonly database: Database;
  readonly nodes: NodesByStorage;
  /** Time between two searches of a storage. */
  readonly runIntervalMs: number;
  readonly batchSize: number;
  readonly logger: Logger;
}

/**
 * Searches the storage whose last search is the oldest, and logs the repositories that are missing
 * in the database. Deletes nothing. Never rejects.
 */
export async function searchOneStorage(options: CleanerOptions, signal: AbortSignal): Promise<void> {
  const { batchSize, database, logger } = options;
  try {
    const node = await acquire(options);
    if (node === undefined) return;
    const { storage } = node;
    const { virtualStorage } = node.config;
    const ofStorage = sql`(virtual_storage, storage) = (${virtualStorage}, ${storage})`;
    using _refresh = setInterval(() => {
      database
        .run(sql`UPDATE storage_cleanups SET triggered_at = now() WHERE ${ofStorage}`)
        .catch((error: unknown) => logger.error({ error: messageOf(error) }, 'failed to extend a search'));
    }, REFRESH_MS).unref();
    try {
      const untracked = untrackedRepositories({
        database,
        connection: node.connection,
        virtualStorage,
        storage,
        minAgeMs: MIN_AGE_MS,
        batchSize,
        signal,
      });
      for await (const path of untracked)
        logger.warn(
          { virtual_storage: virtualStorage, storage, relative_replica_path: path },
          'repository is not managed by praefect',
        );
    } finally {
      await database.run(sql`
        UPDATE storage_cleanups SET last_run = now(), triggered_at = NULL WHERE ${ofStorage}`);
    }
  } catch (error) {
    if (!signal.aborted)
      logger.error({ error: messageOf(error) }, 'failed to search for untracked repositories');
  }
}

/**
 * Takes the storage that is due next, if there is one. The times have no zone: as in Gitaly, they
 * are in the zone of the database server.
 */
async function acquire({ database, nodes, runIntervalMs }: CleanerOptions): Promise<GitalyNode | undefined> {
  const all = [...nodes.values()].flat();
  const names = all.map(({ config }) => config.virtualStorage);
  const storages = all.map(({ storage }) => storage);
  await database.run(sql`
    INSERT INTO storage_cleanups (virtual_storage, storage)
    SELECT * FROM unnest(${names}::text[], ${storages}::text[]) ON CONFLICT DO NOTHING`);
  const row = await database.row(sql<{ virtual_storage: string; storage: string }>`
    UPDATE storage_cleanups SET triggered_at = now()
    WHERE (virtual_storage, storage) IN (
      SELECT virtual_storage, storage FROM storage_cleanups
      JOIN unnest(${names}::text[], ${storages}::text[]) AS configured(virtual_storage, storage)
        USING (virtual_storage, storage)
      WHERE coalesce(last_run < now() - ${runIntervalMs} * interval '1 millisecond', true)
        AND coalesce(triggered_at < now() - ${ABANDONED_MS} * interval '1 millisecond', true)
      ORDER BY last_run NULLS FIRST, virtual_storage, storage
      LIMIT 1
      FOR UPDATE OF storage_cleanups SKIP LOCKED
    )
    RETURNING virtual_storage, storage`);
  return all.find(
    ({ config, storage }) => config.virtualStorage === row?.virtual_storage && storage === row.storage,
  );
}
