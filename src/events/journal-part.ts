import { RESYNC_ALL, type RepositoryEvent } from './event.ts';
import { eventsOfFile } from './event-files.ts';

type Batches = AsyncGenerator<readonly RepositoryEvent[], void, undefined>;

/** Where the events after a sequence are: in memory, or in files that any process can read. */
export interface JournalPart {
  /** Last sequence of the journal at that time. */
  readonly end: number;
  readonly events: readonly RepositoryEvent[];
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/** The events that replace those up to a sequence. */
export interface CompactedPart {
  readonly last: number;
  /** `undefined` if they are unknown. */
  readonly path: string | undefined;
}

/** Events of one storage, for those who read them. */
export interface JournalReader {
  /** Sequence of the last event; 0 without one. */
  readonly last: number;
  /** The events after this sequence are kept; those up to it were compacted. */
  readonly oldest: number;
  /** Resolves when there are events after {@link last}. */
  readonly news: Promise<void>;
  /** Yields the events after a sequence in batches, up to {@link last}. @throws {TooOldError} */
  read(after: number): AsyncIterable<readonly RepositoryEvent[]>;
  /** @see Journal.compacted */
  compacted(): { readonly last: number; readonly batches: AsyncIterable<readonly RepositoryEvent[]> };
}

/** The change feed, for those who read it. */
export interface FeedReader {
  /** Aborted when those who watch must stop: the server ends. */
  readonly ending: AbortSignal;
  /**
   * Returns the journal of a storage, with all events that were recorded before.
   *
   * @throws {GitalyError} INVALID_ARGUMENT for an unknown name.
   */
  reader(storageName: string): Promise<JournalReader>;
}

/** Yields the events of a part in batches. @throws {TooOldError} if a file was removed meanwhile. */
export async function* eventsOfPart({ end, events, files }: JournalPart, after: number): Batches {
  if (events.length > 0) yield events;
  for (const { bytes, path } of files)
    for await (const batch of eventsOfFile(path, bytes)) {
      const wanted = batch.filter(({ sequence }) => sequence > after && sequence <= end);
      if (wanted.length > 0) yield wanted;
    }
}

/** Yields compacted events in batches. The first event has the kind `compacted`. */
export async function* eventsOfCompacted({ last, path }: CompactedPart): Batches {
  const marker = { sequence: 0, kind: 'compacted', relativePath: '', timeMs: Date.now() } as const;
  yield path === undefined ? [marker, { ...marker, ...RESYNC_ALL, sequence: last }] : [marker];
  if (path !== undefined) yield* eventsOfFile(path);
}
