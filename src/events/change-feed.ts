import { posix } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { abortable } from '#base/async/abortable';
import { attempt } from '#base/attempt';
import type { ChangeUser } from '#base/change-user';
import type {
  RecordedRepository,
  RecordingOptions,
  RefChangeRecorder,
  RefChangeRecording,
} from '#git/refs/update/ref-change-recorder';
import type { LifecycleChange, LifecycleRecorder } from '#storage/lifecycle/lifecycle-recorder';
import type { Repository } from '#storage/repository';
import { eventsRoot, isOwnPath } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import type { EventSources } from './event-source.ts';
import { type Intent, Intents } from './intents.ts';
import { Journal } from './journal.ts';
import { OpenMark } from './open-mark.ts';
import { recover, recoverBesideChanges } from './recover.ts';
import { StorageFeed } from './storage-feed.ts';
import { UnrecordedChanges } from './unrecorded-changes.ts';

export interface ChangeFeedOptions {
  /** Size limit of the journal of a storage. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /**
   * Resolves when the process before, which still finishes its calls after a restart, has ended.
   * Default: there is none.
   */
  readonly predecessorEnded?: Promise<void> | undefined;
  /** Called when changes cannot be read or recorded. */
  readonly onProblem: (error: unknown) => void;
  /** Returns the user of the call that runs. Default: none is known. */
  readonly currentUser?: () => ChangeUser | undefined;
}

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;

/**
 * The changes of all storages of a server, in journals on the same disks. Idle while there are no
 * changes.
 */
export class ChangeFeed implements EventSources, RefChangeRecorder, LifecycleRecorder, AsyncDisposable {
  readonly #storages: Storages;
  readonly #currentUser: () => ChangeUser | undefined;
  readonly #feeds = new Map<string, StorageFeed>();
  readonly #marks: { readonly mark: OpenMark; readonly journal: Journal }[] = [];
  readonly ending = new AbortController();
  readonly #watching = new Set<Promise<void>>();
  readonly #takenOver = new Map<string, Promise<void>>();

  private constructor(storages: Storages, { currentUser }: ChangeFeedOptions) {
    this.#storages = storages;
    this.#currentUser = currentUser ?? (() => undefined);
  }

  /**
   * Opens the journals, and records the changes that a dead process could not record: of a process
   * that still runs, when it has ended.
   */
  static async open(storages: Storages, options: ChangeFeedOptions): Promise<ChangeFeed> {
    const feed = new ChangeFeed(storages, options);
    const { onProblem, predecessorEnded } = options;
    const isShared = predecessorEnded !== undefined;
    for (const storage of storages.all) {
      const directory = eventsRoot(storage);
      const mark = new OpenMark(directory);
      const mayLackEvents = await mark.mayLackEvents();
      const journalDirectory = posix.join(directory, 'journal');
      const mayCompact = async (): Promise<boolean> => !(await mark.isReplaced());
      // The process before now compacts no events that this one finds.
      if (isShared) await mark.set({ isShared }).catch(onProblem);
      const journalOptions = { ...options, mayCompact, mayLackEvents, isShared };
      const journal = await Journal.open({ ...journalOptions, directory: journalDirectory });
      if (!isShared) await mark.set({ isShared }).catch(onProblem);
      feed.#marks.push({ mark, journal });
      const intents = new Intents(posix.join(directory, 'intents'), onProblem);
      const open = (relativePath: string) => feed.#find(storage.name, relativePath);
      const unrecorded = new UnrecordedChanges(directory, onProblem);
      const storageFeed = new StorageFeed({ journal, intents, unrecorded, onProblem });
      feed.#feeds.set(storage.name, storageFeed);
      const watchLeft = (left: readonly Intent[]): void => {
        for (const intent of left) {
          const repository = open(intent.relativePath);
          if (repository !== undefined)
            feed.#watch(storageFeed.watchOrphans(repository, intent, feed.ending.signal));
        }
      };
      if (predecessorEnded === undefined)
        watchLeft(await recover({ journal, intents, unrecorded, open, onProblem }));
      else {
        const takeOver = async (): Promise<void> => {
          // The next one does, with what this one adds: these files are not only those of the dead.
          if (await mark.isReplaced()) throw new Error('another restart has begun');
          await journal.takeOver();
          watchLeft(await recoverBesideChanges({ journal, intents, unrecorded, open }));
          await mark.set({ isShared: false });
        };
        feed.#takenOver.set(storage.name, feed.#takeOver(predecessorEnded, takeOver, onProblem));
      }
    }
    return feed;
  }

  /**
   * Resolves when the process before has ended and its events are in the journal of a storage;
   * never if this one ends first. `undefined` if there was none.
   */
  takenOver(storageName: string): Promise<void> | undefined {
    return this.#takenOver.get(storageName);
  }

  journal(storageName: string): Journal {
    const { name } = this.#storages.storage(storageName);
    const feed = this.#feeds.get(name);
    if (feed === undefined) throw new Error(`the storage ${name} has no journal`);
    return feed.journal;
  }

  /** Yields the journal of each storage, and the directory with its further files. */
  *journals(): Generator<{
    readonly storage: string;
    readonly directory: string;
    readonly journal: Journal;
    readonly takenOver: Promise<void> | undefined;
  }> {
    for (const storage of this.#storages.all) {
      const { name } = storage;
      const [journal, takenOver] = [this.journal(name), this.takenOver(name)];
      yield { storage: name, directory: eventsRoot(storage), journal, takenOver };
    }
  }

  async begin(
    repository: RecordedRepository,
    names: readonly string[] | undefined,
    options: RecordingOptions = {},
  ): Promise<RefChangeRecording | undefined> {
    if (names?.length === 0) return undefined;
    const place = recordedPlace(this.#storages, repository);
    const feed = place && this.#feeds.get(place.storageName);
    if (place === undefined || feed === undefined) return undefined;
    const user = options.user ?? this.#currentUser();
    return await feed.begin(repository, place.relativePath, names, { ...options, user });
  }

  /**
   * Ends a change whose process has died: records what it has done, and for some minutes what a git
   * that it had started still does.
   *
   * @param change what {@link begin} has returned for these arguments.
   */
  abandon(
    repository: RecordedRepository,
    names: readonly string[] | undefined,
    change: AsyncDisposable,
  ): void {
    const place = recordedPlace(this.#storages, repository);
    const feed = place && this.#feeds.get(place.storageName);
    if (place === undefined || feed === undefined) return;
    const values = names && Object.fromEntries(names.map((name) => [name, null]));
    const orphaned = { relativePath: place.relativePath, ...(values && { values }) };
    // Starts before the end of the change, so that the values it has found are kept.
    this.#watch(feed.watchOrphans(repository, orphaned, this.ending.signal));
    this.#watch(endOf(change));
  }

  async recordWhile(change: LifecycleChange, make: () => Promise<void>): Promise<void> {
    const feed = this.#feeds.get(change.location.storage.name);
    if (feed === undefined) return await make();
    const user = change.user ?? this.#currentUser();
    await feed.recordWhile({ ...change, user }, make, this.#storages.repositoryAt(change.location));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending.abort();
    while (this.#watching.size > 0) await Promise.all([...this.#watching]);
    for (const feed of this.#feeds.values()) await feed[Symbol.asyncDispose]();
    // One that stays only means a resync after the next boot.
    for (const { journal, mark } of this.#marks) await mark.remove(journal).catch(() => {});
  }

  /**
   * Takes over once the process before has ended, again and again after failures. Never resolves if
   * the feed ends first.
   */
  #takeOver(
    ended: Promise<void>,
    takeOver: () => Promise<void>,
    onProblem: (error: unknown) => void,
  ): Promise<void> {
    const { signal } = this.ending;
    const { promise, resolve } = Promise.withResolvers<void>();
    const untilDone = async (): Promise<void> => {
      await abortable(ended, signal);
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS))
        try {
          await takeOver();
          return resolve();
        } catch (error) {
          onProblem(error);
          await delay(pauseMs, undefined, { signal, ref: false });
        }
    };
    this.#watch(untilDone().catch(() => {})); // the feed ends
    return promise;
  }

  #watch(watching: Promise<void>): void {
    this.#watching.add(watching);
    void watching.finally(() => this.#watching.delete(watching));
  }

  #find(storageName: string, relativePath: string): Repository | undefined {
    return attempt(() => this.#storages.open({ storageName, relativePath }));
  }
}

async function endOf(change: AsyncDisposable): Promise<void> {
  await change[Symbol.asyncDispose]();
}

/**
 * Returns the location of a repository whose changes are recorded; `undefined` for one that clients
 * cannot see.
 */
export function recordedPlace(
  storages: Pick<Storages, 'all'>,
  { path }: Pick<RecordedRepository, 'path'>,
): { readonly storageName: string; readonly relativePath: string } | undefined {
  const storage = storages.all.find((each) => path.startsWith(`${each.path}/`));
  if (storage === undefined || isOwnPath(storage, path)) return undefined;
  return { storageName: storage.name, relativePath: posix.relative(storage.path, path) };
}
