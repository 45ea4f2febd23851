import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { checkPattern, type EventFilter } from '#events/event';
import { TooOldError } from '#events/event-files';
import type { EventSource } from '#events/event-source';
import type { Filter } from '#wire/gen/gitalyts/events/v1/events_pb';

/** Returns the filter of a request. @throws {GitalyError} INVALID_ARGUMENT for a wrong pattern. */
export function filterOf(filter: Filter | undefined): EventFilter {
  const { pathPrefix = '', referencePattern = '' } = filter ?? {};
  const problem = checkPattern(referencePattern);
  if (problem !== undefined) throw invalidArgument(`reference_pattern: ${problem}`);
  // Names of references have one character per byte.
  return { pathPrefix, referencePattern: Buffer.from(referencePattern).toString('latin1') };
}

/**
 * Returns the cursor of a request. @throws {GitalyError} OUT_OF_RANGE for one that is not of this
 * journal.
 */
export function cursorOf(after: bigint, journal: Pick<EventSource, 'last'>): number {
  if (after > BigInt(journal.last))
    throw new GitalyError('OUT_OF_RANGE', `the last event is ${journal.last}, not ${after}`);
  return Number(after);
}

/** Throws OUT_OF_RANGE when the events after a cursor are no longer kept. */
export function refuseOld(error: unknown): never {
  if (!(error instanceof TooOldError)) throw error;
  throw new GitalyError('OUT_OF_RANGE', error.message, { cause: error });
}
