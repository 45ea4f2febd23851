import { invariant } from '#base/invariant';
import { list, maybe, number, object, type Shaped, text } from '#base/shape';
import { RESYNC_ALL, type RepositoryEvent, repositoryEvent } from './event.ts';
import { DamagedFileError, eventsOfFile, TooOldError } from './event-files.ts';
import { compactedMarker } from './event-source.ts';

/** Events of a journal must have increasing numbers; a cursor in it would skip others. */
export const OUT_OF_ORDER = 'events of a journal are out of order';

type Batches = AsyncGenerator<readonly RepositoryEvent[], void, undefined>;

/** Location of the events after a sequence: in memory, or in files that any process can read. */
export const journalPart = object({
  /** Last sequence of the journal at that time. */
  end: number,
  events: list(repositoryEvent),
  /** `first` is the sequence of the first event. */
  files: list(object({ path: text, bytes: number, first: number })),
});
export type JournalPart = Shaped<typeof journalPart>;

/** Location of the events that replace those up to a sequence. */
export const compactedFile = object({
  last: number,
  /** `undefined` if they are unknown. */
  path: maybe(text),
});
export type CompactedFile = Shaped<typeof compactedFile>;

/**
 * Yields the events of a part in batches. Those that a damaged file has lost are replaced by one
 * that reports it.
 *
 * @param onDamage called with the error of a damaged file.
 * @throws {TooOldError} if a file was removed meanwhile.
 */
export async function* eventsOfPart(
  { end, events, files }: JournalPart,
  after: number,
  onDamage: (error: DamagedFileError) => void = () => {},
): Batches {
  if (events.length > 0) yield events;
  let last = 0;
  for (const [index, file] of files.entries()) {
    const lastOfFile = (files[index + 1]?.first ?? end + 1) - 1;
    for await (const batch of wholeFile(file, lastOfFile, onDamage)) {
      for (const { sequence } of batch) {
        invariant(sequence > last, 'journal-order', OUT_OF_ORDER);
        last = sequence;
      }
      const wanted = batch.filter(({ sequence }) => sequence > after && sequence <= end);
      if (wanted.length > 0) yield wanted;
    }
  }
}

/** Yields the events of a file. @param last sequence of the last one. */
async function* wholeFile(
  { bytes, path }: JournalPart['files'][number],
  last: number,
  onDamage: (error: DamagedFileError) => void,
): Batches {
  let { sequence, timeMs } = { sequence: 0, timeMs: 0 };
  try {
    for await (const events of eventsOfFile(path, bytes)) {
      ({ sequence, timeMs } = events.at(-1) ?? { sequence, timeMs });
      yield events;
    }
  } catch (error) {
    if (!(error instanceof DamagedFileError)) throw error;
    onDamage(error);
    if (sequence < last) yield [{ ...RESYNC_ALL, sequence: last, timeMs }];
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
