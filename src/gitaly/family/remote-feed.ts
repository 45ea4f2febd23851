import { type ChangeFeed, recordedPlace } from '#events/change-feed';
import { TooOldError } from '#events/event-files';
import type { CompactedPart, EventSource, EventSources } from '#events/event-source';
import { eventsOfCompacted, eventsOfPart } from '#events/journal-part';
import type {
  RecordedRepository,
  RecordingOptions,
  RefChangeRecorder,
  RefChangeRecording,
} from '#git/refs/update/ref-change-recorder';
import type { LifecycleChange, LifecycleRecorder } from '#storage/lifecycle/lifecycle-recorder';
import type { Storages } from '#storage/storages';
import type { Held, Link } from '#workers/link';
import {
  type BegunChange,
  type BegunLifecycle,
  type EndedChange,
  type Events,
  FEED,
  type JournalState,
  type LocatedCompacted,
  type LocatedEvents,
  type WantedEvents,
} from './feed-messages.ts';

export interface RemoteFeedOptions {
  readonly storages: Pick<Storages, 'all' | 'storage'>;
  /** Called when a change cannot be recorded. */
  readonly onProblem: (error: unknown) => void;
}

/** The part of the change feed that a server needs in any of its processes. */
export type ServedFeed = EventSources & Pick<ChangeFeed, 'endWatching'>;

/**
 * The change feed in a worker. The supervisor is notified before and after each change, reads the
 * references and records what has become of them, also if this process dies in between. Events are
 * read here, from the files of the journal.
 */
export class RemoteFeed implements RefChangeRecorder, LifecycleRecorder, ServedFeed {
  readonly #link: Link;
  readonly #options: RemoteFeedOptions;
  readonly #ending = new AbortController();
  readonly #journals = new Map<string, RemoteJournal>();

  constructor(link: Link, options: RemoteFeedOptions) {
    this.#link = link;
    this.#options = options;
    for (const { name } of options.storages.all) this.#journals.set(name, new RemoteJournal(link, name));
    // The types of the values: `shareFeed` sends them.
    link.onTold(FEED.state, (value) => this.#note(value as JournalState));
  }

  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  endWatching(): void {
    this.#ending.abort();
  }

  async journal(storageName: string): Promise<EventSource> {
    const { name } = this.#options.storages.storage(storageName);
    const journal = this.#journals.get(name);
    if (journal === undefined) throw new Error(`the storage ${name} has no journal`);
    this.#note((await this.#link.ask(FEED.state, name)).value as JournalState); // as above
    return journal;
  }

  async begin(
    repository: RecordedRepository,
    names: readonly string[] | undefined,
    options: RecordingOptions = {},
  ): Promise<RefChangeRecording | undefined> {
    const place = names?.length === 0 ? undefined : recordedPlace(this.#options.storages, repository);
    if (place === undefined) return undefined;
    const begun = await this.#begin(FEED.begin, { ...place, names, options } satisfies BegunChange);
    // The supervisor reads the references itself.
    return begun && { succeeded: () => {}, [Symbol.asyncDispose]: () => this.#end(begun, false) };
  }

  async recordWhile(
    { kind, location, previousPath }: LifecycleChange,
    make: () => Promise<void>,
  ): Promise<void> {
    const { relativePath, storage } = location;
    const begun = await this.#begin(FEED.beginLifecycle, {
      kind,
      storageName: storage.name,
      relativePath,
      ...(previousPath !== undefined && { previousPath }),
    } satisfies BegunLifecycle);
    let hasFailed = true;
    try {
      await make();
      hasFailed = false;
    } finally {
      if (begun !== undefined) await this.#end(begun, hasFailed);
    }
  }

  /** Notifies of a change that is about to be made. It is made also if that fails. */
  async #begin(topic: string, change: BegunChange | BegunLifecycle): Promise<Held | undefined> {
    try {
      return await this.#link.ask(topic, change);
    } catch (error) {
      this.#options.onProblem(error);
      return undefined;
    }
  }

  async #end({ release, value }: Held, hasFailed: boolean): Promise<void> {
    try {
      await this.#link.ask(FEED.end, { id: Number(value), hasFailed } satisfies EndedChange);
    } catch (error) {
      this.#options.onProblem(error);
    } finally {
      release();
    }
  }

  #note({ storageName, ...state }: JournalState): void {
    this.#journals.get(storageName)?.note(state);
  }
}

/** The journal of one storage, which the supervisor writes. */
class RemoteJournal implements EventSource {
  readonly #link: Link;
  readonly #storageName: string;
  #state: Omit<JournalState, 'storageName'> = { id: '', last: 0, oldest: 0 };
  #news = Promise.withResolvers<void>();

  constructor(link: Link, storageName: string) {
    this.#link = link;
    this.#storageName = storageName;
  }

  get id(): string {
    return this.#state.id;
  }

  get last(): number {
    return this.#state.last;
  }

  get oldest(): number {
    return this.#state.oldest;
  }

  get news(): Promise<void> {
    return this.#news.promise;
  }

  note(state: Omit<JournalState, 'storageName'>): void {
    const isNews = state.last > this.#state.last;
    this.#state = state;
    if (!isNews) return;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  async *read(after: number): AsyncGenerator<Events, void, undefined> {
    const wanted: WantedEvents = { storageName: this.#storageName, after };
    const located = (await this.#link.ask(FEED.locate, wanted)).value as LocatedEvents; // of `shareFeed`
    if ('tooOld' in located) throw new TooOldError(located.tooOld);
    yield* eventsOfPart(located, after);
  }

  compacted(): CompactedPart;
  compacted(last: number): CompactedPart | undefined;
  compacted(wanted?: number): CompactedPart | undefined {
    const { oldest: last } = this;
    if (wanted !== undefined && wanted !== last) return undefined;
    return { last, batches: this.#compacted(last) };
  }

  async *#compacted(last: number): AsyncGenerator<Events, void, undefined> {
    const { value } = await this.#link.ask(FEED.locateCompacted, this.#storageName);
    const part = value as LocatedCompacted; // from `shareFeed`
    if (part.last !== last) throw new TooOldError(`events up to ${part.last} were compacted`);
    yield* eventsOfCompacted(part);
  }
}
