import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import {
  RepositoryInfoResponse_ReferencesInfo_ReferenceBackend as Backend,
  OptimizeRepositoryRequest_Strategy as Strategy,
} from '#wire/gen/repository_pb';
import type { ImportDestination } from './destination.ts';

/**
 * Number of references above which they are packed after a push. Servers pack at once when there
 * are more than 16 loose and no packed ones (Gitaly: `housekeeping.shouldRepackReferences`).
 */
const MANY_REFERENCES = 100;
/** A server does nothing while it maintains the repository for another reason. */
const MAX_ATTEMPTS = 60;
const PAUSE_MS = 1000;

/**
 * Reports whether a push makes files that should be packed: each takes a block of the
 * disk, and a flush.
 */
export async function shouldPack(
  connection: Connection,
  { repository }: ImportDestination,
  { references, signal }: { references: number; signal: AbortSignal },
): Promise<boolean> {
  if (references < MANY_REFERENCES) return false;
  return (await infoOf(connection, repository, signal))?.referenceBackend === Backend.FILES;
}

/**
 * Packs references, which flushes them together.
 *
 * @throws {Error} if some are not packed afterwards: they may not be flushed.
 */
export async function packReferences(
  connection: Connection,
  { repository }: ImportDestination,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await connection.repository.optimizeRepository(
      { repository, strategy: Strategy.HEURISTICAL },
      { signal },
    );
    const { looseCount = 0n } = (await infoOf(connection, repository, signal)) ?? {};
    if (looseCount === 0n) return;
    if (attempt === MAX_ATTEMPTS) throw new Error(`the server has not packed ${looseCount} references`);
    await delay(PAUSE_MS, undefined, { signal });
  }
}

/** Returns the numbers of references; `undefined` from a server before 16.7. */
async function infoOf(
  connection: Connection,
  repository: ImportDestination['repository'],
  signal: AbortSignal,
) {
  try {
    return (await connection.repository.repositoryInfo({ repository }, { signal })).references;
  } catch (error) {
    if (codeOf(error) === 'UNIMPLEMENTED') return undefined;
    throw error;
  }
}
