import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';

/**
 * Replaces the primary of a repository if it is not a valid one and another replica is: by a random
 * one of these. Concurrent calls agree on the result.
 *
 * @returns the primary, which is unchanged if no replica is valid. `undefined` for none.
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
