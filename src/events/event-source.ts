import type { RepositoryEvent } from './event.ts';

export interface FeedPosition {
  /**
   * Id of the events since the start of the server; empty while some may be missing, because they
   * could not be written. `undefined` if there is none.
   */
  readonly id?: string;
  /** Sequence of the last event; 0 without one. */
  readonly last: number;
  /** Events after this sequence are kept; earlier ones were compacted. */
  readonly oldest: number;
}

/** The events of one storage, as they are served. */
export interface EventSource extends FeedPosition {
  /** Resolves when there are events after {@link last}. */
  readonly news: Promise<void>;
  /**
   * Yields the events after a sequence in batches, up to {@link last}.
   *
   * @throws {TooOldError}
   */
  read(after: number): AsyncIterable<readonly RepositoryEvent[]>;
  /**
   * Returns the events that replace those up to {@link oldest}, in batches and in their order: of
   * each reference and repository the latest. The first one has the kind `compacted`.
   *
   * @param last that of a part which was started before.
   * @throws {TooOldError} if this part cannot be continued.
   */
  compacted(last?: number): CompactedPart;
}

/** Events that others add. {@link moveTo} is called with their position. */
export class FollowedEvents implements EventSource {
  readonly read: EventSource['read'];
  readonly compacted: EventSource['compacted'];
  id?: string;
  last = 0;
  oldest = 0;
  #news = Promise.withResolvers<void>();

  /** @param readerOf returns the functions that read the events up to a position that moves. */
  constructor(readerOf: (position: FeedPosition) => Pick<EventSource, 'compacted' | 'read'>) {
    ({ read: this.read, compacted: this.compacted } = readerOf(this));
  }

  get news(): Promise<void> {
    return this.#news.promise;
  }

  moveTo({ id, last, oldest }: FeedPosition): void {
    const isNews = last > this.last;
    Object.assign(this, { last, oldest }, id !== undefined && { id });
    if (!isNews) return;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Compacted events, and the sequence of the last event that was compacted. */
export interface CompactedPart {
  readonly last: number;
  readonly batches: AsyncIterable<readonly RepositoryEvent[]>;
}

/** The events of a server or a cluster. */
export interface EventSources {
  /** Aborted when watchers must stop because the server stops. */
  readonly ending: AbortController;
  /** Returns the events of a storage. @throws {GitalyError} INVALID_ARGUMENT for an unknown name. */
  journal(storageName: string): EventSource | Promise<EventSource>;
}

/** Returns the event that precedes compacted ones and makes consumers drop their state. */
export function compactedMarker(): RepositoryEvent {
  return { sequence: 0, kind: 'compacted', relativePath: '', timeMs: Date.now() };
}
