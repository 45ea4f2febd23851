import { posix } from 'node:path';
import type {
  RecordedRepository,
  RecordingOptions,
  RefChangeRecorder,
} from '#git/refs/update/ref-change-recorder';
import type { LifecycleChange, LifecycleRecorder } from '#storage/lifecycle/lifecycle-recorder';
import type { Repository } from '#storage/repository';
import { eventsRoot, isOwnPath } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import { Intents } from './intents.ts';
import { Journal } from './journal.ts';
import { recover } from './recover.ts';
import { StorageFeed } from './storage-feed.ts';

export interface ChangeFeedOptions {
  /** Size of the journal of a storage. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** Called when changes cannot be read or recorded. */
  readonly onProblem: (error: unknown) => void;
}

/**
 * The changes of all storages of a server, in journals on the same disks. While nobody makes
 * changes it does nothing.
 */
export class ChangeFeed implements RefChangeRecorder, LifecycleRecorder, AsyncDisposable {
  readonly #storages: Storages;
  readonly #feeds = new Map<string, StorageFeed>();
  readonly #ending = new AbortController();
  readonly #watching: Promise<void>[] = [];

  private constructor(storages: Storages) {
    this.#storages = storages;
  }

  /** Opens the journals, and records what a dead process could not. */
  static async open(storages: Storages, options: ChangeFeedOptions): Promise<ChangeFeed> {
    const feed = new ChangeFeed(storages);
    const { onProblem } = options;
    for (const storage of storages.all) {
      const directory = eventsRoot(storage);
      const journal = await Journal.open({ ...options, directory: posix.join(directory, 'journal') });
      const intents = new Intents(posix.join(directory, 'intents'));
      const open = (relativePath: string) => feed.#find(storage.name, relativePath);
      const left = await recover({ journal, intents, open, onProblem });
      const storageFeed = new StorageFeed({ journal, intents, onProblem });
      feed.#feeds.set(storage.name, storageFeed);
      for (const intent of left) {
        const repository = open(intent.relativePath);
        if (repository !== undefined)
          feed.#watching.push(storageFeed.watchOrphans(repository, intent, feed.ending));
      }
    }
    return feed;
  }

  /** Aborted when those who watch must stop: the server ends. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Ends what watches. */
  endWatching(): void {
    this.#ending.abort();
  }

  /** Returns the journal of a storage. @throws {GitalyError} INVALID_ARGUMENT for an unknown name. */
  journal(storageName: string): Journal {
    const { name } = this.#storages.storage(storageName);
    const feed = this.#feeds.get(name);
    if (feed === undefined) throw new Error(`the storage ${name} has no journal`);
    return feed.journal;
  }

  /** Yields the journal of each storage, and the directory with what belongs to it. */
  *journals(): Generator<{
    readonly storage: string;
    readonly directory: string;
    readonly journal: Journal;
  }> {
    for (const storage of this.#storages.all)
      yield { storage: storage.name, directory: eventsRoot(storage), journal: this.journal(storage.name) };
  }

  async begin(
    repository: RecordedRepository,
    names: readonly string[] | undefined,
    options: RecordingOptions = {},
  ): Promise<AsyncDisposable | undefined> {
    if (names?.length === 0) return undefined;
    const storage = this.#storages.all.find(({ path }) => repository.path.startsWith(`${path}/`));
    const feed = storage && this.#feeds.get(storage.name);
    if (storage === undefined || feed === undefined || isOwnPath(storage, repository.path)) return undefined;
    const relativePath = posix.relative(storage.path, repository.path);
    return await feed.begin(repository, relativePath, names, options);
  }

  async recordWhile(change: LifecycleChange, make: () => Promise<void>): Promise<void> {
    const feed = this.#feeds.get(change.location.storage.name);
    if (feed === undefined) return await make();
    await feed.recordWhile(change, make, this.#storages.repositoryAt(change.location));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endWatching();
    await Promise.all(this.#watching);
    for (const feed of this.#feeds.values()) await feed[Symbol.asyncDispose]();
  }

  #find(storageName: string, relativePath: string): Repository | undefined {
    try {
      return this.#storages.open({ storageName, relativePath });
    } catch {
      return undefined;
    }
  }
}
