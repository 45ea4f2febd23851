import { GitalyError } from '#base/gitaly-error';
import type { PastMoment } from '#generations/chain/past-state';
import { ProtocolError } from '#generations/errors';
import type { StoreObserver } from '#object-store/observed-store';
import type { Storages } from '#storage/storages';
import { chainOf } from './bucket/archive-bucket.ts';
import { archivedPaths } from './bucket/archived-paths.ts';
import { SETTING } from './capture/capture-settings.ts';
import type { ArchivedLfsStore } from './lfs/lfs-store.ts';
import { type LoggedGeneration, logOf } from './log.ts';
import type { Retention } from './maintain/retention.ts';
import type { VerifiedRepository } from './maintain/verify.ts';
import type { ArchivedEvents } from './publish/consumer.ts';
import {
  type ArchiveObserver,
  StorageArchive,
  type StorageArchiveStatus,
} from './publish/storage-archive.ts';
import { findState, restoreState } from './restore/restore-repository.ts';
import { type RestoredRepository, restoreRepositories } from './restore/restore-storage.ts';

/** A storage and the URLs of its archives. */
export interface ArchivedStorage {
  readonly storage: string;
  readonly urls: readonly string[];
  readonly journal: ArchivedEvents;
  /** The archives of the process before, which ends then, continue until it resolves. */
  readonly takenOver?: Promise<void> | undefined;
}

export interface ArchiveOptions {
  readonly storages: Storages;
  readonly archived: readonly ArchivedStorage[];
  /** `undefined` without Git LFS. */
  readonly lfs?: ArchivedLfsStore | undefined;
  readonly observer: (storage: string) => ArchiveObserver;
  readonly retention: Retention;
  readonly storeObserver?: StoreObserver | undefined;
}

/** A repository of a storage. */
export interface ArchivedTarget {
  readonly storage: string;
  readonly path: string;
}

/** How far a repository is archived. */
export interface RepositoryArchiveStatus {
  /** Number of the last generation. */
  readonly generation: number;
  /** Number of the last event of the storage's journal that it includes; -1 if it has none. */
  readonly event: number;
  /** Time of its last change; milliseconds since 1970. */
  readonly timeMs: number;
  readonly references: number;
}

/** A repository of an archive, with its last state. */
export interface ArchivedState extends RepositoryArchiveStatus {
  readonly path: string;
}

/** A repository of an archive that is damaged there. */
export interface UnreadableState {
  readonly path: string;
  /** Reason why its state cannot be read. */
  readonly problem: string;
}

export interface RestoreRequest {
  /** The last state by default. Of a removed repository, the one before its removal. */
  readonly at?: PastMoment;
  /** Only of repositories whose ids begin with it: a path may have had several. */
  readonly idPrefix?: string;
  /** Path of the restored repository. Default: the same. */
  readonly to?: string;
  /** Replaces an existing repository. Default: it is an error. */
  readonly replaces?: boolean;
  /** Number of the archive in the list of the storage's. Default: the first. */
  readonly archive?: number;
  readonly signal: AbortSignal;
}

/** Repositories whose last states are read at once. */
const READ_AT_ONCE = 8;

/**
 * The archives of a server's storages: each is written behind the changes, and can be restored to
 * any generation that it keeps.
 */
export class Archive implements AsyncDisposable {
  readonly #options: Pick<ArchiveOptions, 'storages' | 'lfs'>;
  readonly #archives: ReadonlyMap<string, readonly StorageArchive[]>;

  private constructor(
    options: Pick<ArchiveOptions, 'storages' | 'lfs'>,
    archives: ReadonlyMap<string, readonly StorageArchive[]>,
  ) {
    this.#options = options;
    this.#archives = archives;
  }

  /**
   * Starts to archive storages.
   *
   * @throws {AnotherWriterError} if another server writes to one of the archives.
   */
  static async start(options: ArchiveOptions): Promise<Archive> {
    const { archived, lfs, observer, retention, storages, storeObserver } = options;
    await using starting = new AsyncDisposableStack();
    const archives = new Map<string, readonly StorageArchive[]>();
    for (const { journal, storage: name, takenOver, urls } of archived) {
      const storage = storages.storage(name);
      const shared = { storage, storages, journal, lfs, retention, storeObserver, takenOver };
      const parts = { ...shared, observer: observer(name) };
      const results = await Promise.allSettled(
        urls.map(async (url) => starting.use(await StorageArchive.start({ ...parts, url }))),
      );
      const started = results.map((result) => {
        if (result.status === 'rejected') throw result.reason;
        return result.value;
      });
      archives.set(name, started);
    }
    starting.move();
    return new Archive(options, archives);
  }

  /** Returns how far each archive of a storage is; empty if it has none. */
  status(storage: string): StorageArchiveStatus[] {
    return this.#archives.get(storage)?.map((archive) => archive.status()) ?? [];
  }

  /**
   * Returns how far a repository is archived, according to the bucket; `undefined` if it is not.
   *
   * @throws {Error} if the bucket does not respond.
   */
  async repositoryStatus(
    { path, storage }: ArchivedTarget,
    archive = 0,
  ): Promise<RepositoryArchiveStatus | undefined> {
    const { bucket } = this.#one(storage, archive);
    const id = await bucket.paths.resolve(path);
    if (id === undefined) return undefined;
    const { state } = await chainOf(bucket, id).follow();
    const event = Number((state.settings.get(SETTING.event) ?? '').split(' ')[1] ?? -1);
    return { generation: state.n, event, timeMs: state.timeMs, references: state.references.size };
  }

  /** Yields the repositories of an archive with their last states, in the order of the bucket. */
  async *repositories(storage: string, archive = 0): AsyncGenerator<ArchivedState | UnreadableState> {
    let reading: Promise<ArchivedState | UnreadableState | undefined>[] = [];
    const read = async (path: string) => {
      try {
        const status = await this.repositoryStatus({ storage, path }, archive);
        return status && { path, ...status };
      } catch (error) {
        if (!(error instanceof ProtocolError && error.problem === 'damaged')) throw error;
        return { path, problem: error.message };
      }
    };
    const done = async () => (await Promise.all(reading)).filter((each) => each !== undefined);
    for await (const path of archivedPaths(this.#one(storage, archive).bucket)) {
      reading.push(read(path));
      if (reading.length < READ_AT_ONCE) continue;
      yield* await done();
      reading = [];
    }
    yield* await done();
  }

  /** Yields the states that can be restored of a path, the newest first. */
  log({ path, storage }: ArchivedTarget, archive = 0): AsyncGenerator<LoggedGeneration> {
    return logOf(this.#one(storage, archive).bucket, path);
  }

  /**
   * Restores a repository, at its path or another one. It appears when it is complete and checked.
   *
   * @returns a sentence about files of Git LFS that are missing; empty otherwise.
   * @throws {GitalyError} NOT_FOUND if the archive has no such state, ALREADY_EXISTS, DATA_LOSS if
   *   something else of it is damaged or missing.
   */
  async restore({ path, storage }: ArchivedTarget, request: RestoreRequest): Promise<string> {
    const { archive = 0, at, replaces = false, signal, to = path } = request;
    const { bucket } = this.#one(storage, archive);
    const found = await findState(bucket, path, at, request.idPrefix);
    const target = { storageName: storage, relativePath: to };
    return await restoreState(found, { ...this.#options, bucket, target, replaces, signal });
  }

  /**
   * Restores all repositories of a storage that do not exist on its disk, from the bucket alone.
   * Yields each with its result.
   *
   * @param request.timeMs for an earlier state of the storage.
   */
  async *restoreStorage(
    storage: string,
    { archive = 0, signal, timeMs }: { archive?: number; timeMs?: number; signal: AbortSignal },
  ): AsyncGenerator<RestoredRepository> {
    const { bucket } = this.#one(storage, archive);
    yield* restoreRepositories({ ...this.#options, bucket, storage, timeMs, signal });
  }

  /**
   * Deletes from all archives of a storage what is not kept any more. The server does so by itself,
   * once a day.
   */
  async prune(storage: string): Promise<void> {
    await Promise.all(this.#of(storage).map((archive) => archive.prune()));
  }

  /**
   * Reads all packs of an archive back, and has git check some repositories, or all. Yields each
   * repository. What is damaged is repaired from the disk.
   */
  verify(
    storage: string,
    { archive = 0, isFull = false, signal }: { archive?: number; isFull?: boolean; signal: AbortSignal },
  ): AsyncGenerator<VerifiedRepository> {
    return this.#one(storage, archive).verify(isFull, signal);
  }

  /** Waits until all changes of a storage until now are in all its archives. */
  async settle(storage: string): Promise<void> {
    await Promise.all(this.#of(storage).map((archive) => archive.settle()));
  }

  /** Archives what is pending, for at most 10 s, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#archives.values()].flat();
    await Promise.all(all.map((archive) => archive[Symbol.asyncDispose]()));
  }

  #of(storage: string): readonly StorageArchive[] {
    const archives = this.#archives.get(storage);
    if (archives === undefined) throw new GitalyError('NOT_FOUND', 'the storage has no archive');
    return archives;
  }

  #one(storage: string, index: number): StorageArchive {
    const archive = this.#of(storage)[index];
    if (archive === undefined) throw new GitalyError('NOT_FOUND', 'the storage has fewer archives');
    return archive;
  }
}
