import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';

/**
 * Replaces the primary of a repository by a random valid replica, if the primary is not valid and
 * another replica is. Concurrent calls get the same result.
 *
 * @returns the primary; the old one if no replica is valid. `undefined` if there is none.
 */
export async function electPrimary(
  database: Database,
  repositoryId: number,
  logger: Logger,
): Promise<string | undefined> {
  const [previous, current] = await database.transaction(async (executor) => {
    const locked = await sql<{ primary: string | null }>`
      SELECT "primary" FROM repositories WHERE repository_id = ${repositoryId} FOR NO KEY UPDATE`.execute(
      executor,
    );
    const before = locked.rows[0]?.primary ?? undefined;
    // A separate statement, so that it sees the result of the election that held the lock.
    const valid = await sql<{ storage: string }>`
      SELECT storage FROM valid_primaries WHERE repository_id = ${repositoryId} ORDER BY random()`.execute(
      executor,
    );
    const [candidate] = valid.rows;
    if (candidate === undefined || valid.rows.some(({ storage }) => storage === before))
      return [before, before];
    await sql`UPDATE repositories SET "primary" = ${candidate.storage}
      WHERE repository_id = ${repositoryId}`.execute(executor);
    return [before, candidate.storage];
  });
  if (current !== previous) {
    logger.info(
      { repository_id: repositoryId, current_primary: current, previous_primary: previous ?? '' },
      'primary node changed',
    );
  }
  return current;
}
