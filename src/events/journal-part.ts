import { invariant } from '#base/invariant';
import { list, maybe, number, object, type Shaped, text } from '#base/shape';
import { RESYNC_ALL, type RepositoryEvent, repositoryEvent } from './event.ts';
import { eventsOfFile, TooOldError } from './event-files.ts';
import { compactedMarker } from './event-source.ts';

/** Events of a journal must have increasing numbers; a cursor in it would skip others. */
export const OUT_OF_ORDER = 'events of a journal are out of order';

type Batches = AsyncGenerator<readonly RepositoryEvent[], void, undefined>;

/** Location of the events after a sequence: in memory, or in files that any process can read. */
export const journalPart = object({
  /** Last sequence of the journal at that time. */
  end: number,
  events: list(repositoryEvent),
  files: list(object({ path: text, bytes: number })),
});
export type JournalPart = Shaped<typeof journalPart>;

/** Location of the events that replace those up to a sequence. */
export const compactedFile = object({
  last: number,
  /** `undefined` if they are unknown. */
  path: maybe(text),
});
export type CompactedFile = Shaped<typeof compactedFile>;

/** Yields the events of a part in batches. @throws {TooOldError} if a file was removed meanwhile. */
export async function* eventsOfPart({ end, events, files }: JournalPart, after: number): Batches {
  if (events.length > 0) yield events;
  let last = 0;
  for (const { bytes, path } of files)
    for await (const batch of eventsOfFile(path, bytes)) {
      for (const { sequence } of batch) {
        invariant(sequence > last, 'journal-order', OUT_OF_ORDER);
        last = sequence;
      }
      const wanted = batch.filter(({ sequence }) => sequence > after && sequence <= end);
      if (wanted.length > 0) yield wanted;
    }
}

/** @throws {TooOldError} if these are not the events that were compacted up to a sequence. */
export function checkCompacted(wanted: number, last: number): void {
  if (wanted !== last) throw new TooOldError(`events up to ${last} were compacted`);
}

/** Yields compacted events in batches. The first event has the kind `compacted`. */
export async function* eventsOfCompacted({ last, path }: CompactedFile): Batches {
  const marker = compactedMarker();
  yield path === undefined ? [marker, { ...marker, ...RESYNC_ALL, sequence: last }] : [marker];
  if (path !== undefined) yield* eventsOfFile(path);
}
