import type { ChangeUser } from '#base/change-user';
import { recordedPlace } from '#events/change-feed';
import type { RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import { type EventSource, type EventSources, FollowedEvents } from '#events/event-source';
import { checkCompacted, eventsOfCompacted, eventsOfPart } from '#events/journal-part';
import type {
  RecordedRepository,
  RecordingOptions,
  RefChangeRecorder,
  RefChangeRecording,
} from '#git/refs/update/ref-change-recorder';
import type { LifecycleChange, LifecycleRecorder } from '#storage/lifecycle/lifecycle-recorder';
import type { Storages } from '#storage/storages';
import type { Held, Link } from '#workers/link';
import { answer, type Remote, remote } from '#workers/protocol';
import { FEED, FEED_NEWS, type JournalState } from './feed-messages.ts';

export interface RemoteFeedOptions {
  readonly storages: Pick<Storages, 'all' | 'storage'>;
  /** Called when a change cannot be recorded. */
  readonly onProblem: (error: unknown) => void;
  /** Returns the user of the call that runs. */
  readonly currentUser: () => ChangeUser | undefined;
}

/**
 * The change feed in a worker. The supervisor is notified before and after each change, reads the
 * references and records what has become of them, also if this process dies in between. Events are
 * read here, from the files of the journal.
 */
export class RemoteFeed implements RefChangeRecorder, LifecycleRecorder, EventSources {
  readonly #feed: Remote<typeof FEED>;
  readonly #options: RemoteFeedOptions;
  readonly ending = new AbortController();
  readonly #journals = new Map<string, FollowedEvents>();

  constructor(link: Link, options: RemoteFeedOptions) {
    this.#feed = remote(link, FEED);
    this.#options = options;
    for (const { name } of options.storages.all) this.#journals.set(name, remoteJournal(this.#feed, name));
    answer(link, FEED_NEWS, { state: (state) => this.#note(state) });
  }

  async journal(storageName: string): Promise<EventSource> {
    const { name } = this.#options.storages.storage(storageName);
    const journal = this.#journals.get(name);
    if (journal === undefined) throw new Error(`the storage ${name} has no journal`);
    this.#note(await this.#feed.state(name));
    return journal;
  }

  async begin(
    repository: RecordedRepository,
    names: readonly string[] | undefined,
    options: RecordingOptions = {},
  ): Promise<RefChangeRecording | undefined> {
    const place = names?.length === 0 ? undefined : recordedPlace(this.#options.storages, repository);
    if (place === undefined) return undefined;
    const { user = this.#options.currentUser(), wanted, ...others } = options;
    const begun = await this.#begun(
      this.#feed.begin({ ...place, names, options: others, wanted: wanted && [...wanted], user }),
    );
    // The supervisor reads the references itself.
    return begun && { succeeded: () => {}, [Symbol.asyncDispose]: () => this.#end(begun, false) };
  }

  async recordWhile(
    { kind, location, previousPath, user = this.#options.currentUser() }: LifecycleChange,
    make: () => Promise<void>,
  ): Promise<void> {
    const { relativePath, storage } = location;
    const place = { storageName: storage.name, relativePath };
    const previous = previousPath === undefined ? {} : { previousPath };
    const begun = await this.#begun(this.#feed.beginLifecycle({ kind, ...place, ...previous, user }));
    let hasFailed = true;
    try {
      await make();
      hasFailed = false;
    } finally {
      if (begun !== undefined) await this.#end(begun, hasFailed);
    }
  }

  /** Notifies of a change that is about to be made. It is made also if that fails. */
  async #begun(change: Promise<Held<number>>): Promise<Held<number> | undefined> {
    try {
      return await change;
    } catch (error) {
      this.#options.onProblem(error);
      return undefined;
    }
  }

  async #end({ release, value: id }: Held<number>, hasFailed: boolean): Promise<void> {
    try {
      await this.#feed.end({ id, hasFailed });
    } catch (error) {
      this.#options.onProblem(error);
    } finally {
      release();
    }
  }

  #note(state: JournalState): void {
    this.#journals.get(state.storageName)?.moveTo(state);
  }
}

/** Returns the journal of one storage, which the supervisor writes. */
function remoteJournal(feed: Remote<typeof FEED>, storageName: string): FollowedEvents {
  return new FollowedEvents((position) => ({
    async *read(after) {
      const located = await feed.locate({ storageName, after });
      if ('tooOld' in located) throw new TooOldError(located.tooOld);
      yield* eventsOfPart(located, after);
    },
    compacted(wanted) {
      const { oldest: last } = position;
      checkCompacted(wanted ?? last, last);
      return { last, batches: compactedBatches(feed, storageName, last) };
    },
  }));
}

async function* compactedBatches(
  feed: Remote<typeof FEED>,
  storageName: string,
  last: number,
): AsyncGenerator<readonly RepositoryEvent[], void, undefined> {
  const part = await feed.locateCompacted(storageName);
  checkCompacted(last, part.last);
  yield* eventsOfCompacted(part);
}
