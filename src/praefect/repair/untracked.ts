import type { Connection } from '#client/index';
import { type Database, sql } from '../database/database.ts';

export interface UntrackedOptions {
  readonly database: Database;
  readonly connection: Connection;
  readonly virtualStorage: string;
  readonly storage: string;
  /** Leaves out repositories that were changed since: they may be about to be recorded. */
  readonly minAgeMs: number;
  /** Number of repositories that are compared at once. */
  readonly batchSize: number;
  readonly signal: AbortSignal;
}

/** Yields the paths of repositories on a node that are missing in the database. */
export async function* untrackedRepositories(options: UntrackedOptions): AsyncGenerator<string> {
  const { batchSize, connection, minAgeMs, signal, storage } = options;
  const newest = Date.now() - minAgeMs;
  let batch: string[] = [];
  const walk = connection.internal.walkRepos({ storageName: storage }, { signal });
  for await (const { modificationTime, relativePath } of walk) {
    const modified = modificationTime === undefined ? 0 : Number(modificationTime.seconds) * 1000;
    if (modified > newest) continue;
    batch.push(relativePath);
    if (batch.length < batchSize) continue;
    yield* await unknownOf(options, batch);
    batch = [];
  }
  if (batch.length > 0) yield* await unknownOf(options, batch);
}

async function unknownOf(
  { database, storage, virtualStorage }: UntrackedOptions,
  paths: readonly string[],
): Promise<readonly string[]> {
  const rows = await database.rows(sql<{ path: string }>`
    SELECT path FROM unnest(${paths}::text[]) AS found(path)
    WHERE NOT EXISTS (
      SELECT FROM repositories JOIN storage_repositories AS replica USING (repository_id)
      WHERE (replica_path, repositories.virtual_storage) = (path, ${virtualStorage})
        AND replica.storage = ${storage}
    )`);
  return rows.map(({ path }) => path);
}
