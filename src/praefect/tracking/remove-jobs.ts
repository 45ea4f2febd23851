import { type Database, sql } from '../database/database.ts';
import type { RepositoryKey } from '../model/repository-key.ts';

const RETRY_MS = 1000;

/** Removes the replication jobs of a repository, and waits for the end of those that run. */
export async function removeReplicationJobs(
  database: Database,
  { relativePath, virtualStorage }: RepositoryKey,
): Promise<void> {
  const ofRepository = sql`job->>'virtual_storage' = ${virtualStorage}
    AND job->>'relative_path' = ${relativePath}`;
  for (;;) {
    await database.run(sql`DELETE FROM replication_queue WHERE ${ofRepository} AND state <> 'in_progress'`);
    const running = await database.rows(sql`SELECT id FROM replication_queue WHERE ${ofRepository} LIMIT 1`);
    if (running.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
