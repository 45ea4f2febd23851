import { statSync } from 'node:fs';
import path from 'node:path';
import { GitalyError, invalidArgument, withCode } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorText } from '#base/go/system-error';
import type { Git } from '#git/command/git';
import type { RepositoryCaches } from '#git/repository-caches';
import { Borrowers, type KnownBorrowers } from './borrowers.ts';
import { checkGitDirectory } from './git-directory.ts';
import type { LifecycleChange, LifecycleRecorder } from './lifecycle/lifecycle-recorder.ts';
import { namedObjectDirectory, objectDirectories } from './object-directories.ts';
import { joinInside } from './relative-path.ts';
import { Repository } from './repository.ts';
import { type KnownCounts, RepositoryCounts } from './repository-counts.ts';
import type { RepositoryLocation, RepositoryTarget, Storage } from './repository-target.ts';
import { requireTarget } from './require-target.ts';
import { type RepositoryChange, SeenRepositories } from './seen-repositories.ts';
import { DirectoryMemory } from './statistics/directory-memory.ts';
import type { DirectorySum } from './statistics/directory-size.ts';
import type { LooseObjectShard } from './statistics/loose-objects.ts';
import { StoragePresence } from './storage-presence.ts';
import { escapesBySymlink } from './symlink-guard.ts';
import { ValidRepositories, type ValidRepository } from './valid-repositories.ts';

export interface StoragesOptions {
  /** Storages with absolute directories. */
  readonly storages: readonly Storage[];
  readonly caches: RepositoryCaches;
  /** Milliseconds since 1970, for tests. */
  readonly now?: () => number;
  /** Returns an object that identifies the running call; for {@link Storages.changeSince}. */
  readonly mover?: () => object | undefined;
  /** Replaced in a process that does not count repositories itself. */
  readonly repositoryCounts?: KnownCounts;
  readonly borrowers?: KnownBorrowers;
}

export interface OpenOptions {
  /**
   * Code of failures whose cause is ambiguous (a file where the repository should be). Most RPCs
   * blame the caller.
   */
  readonly otherwise?: 'INVALID_ARGUMENT' | 'INTERNAL';
  /** Caches for the repository. Nothing about it is kept elsewhere then. Default: those of calls. */
  readonly caches?: RepositoryCaches | undefined;
}

/**
 * The storages of a server. Finds the directory of a request's repository, and refuses other
 * directories.
 *
 * Opening is synchronous and costs one `stat` for a repository that was opened before and has not
 * changed since.
 */
export class Storages {
  readonly caches: RepositoryCaches;
  readonly all: readonly Storage[];
  /** Sizes of directories, for all repositories. */
  readonly directorySums = new DirectoryMemory<DirectorySum>();
  /** Loose objects by directory, for all repositories. */
  readonly looseObjectShards = new DirectoryMemory<LooseObjectShard>();
  readonly repositoryCounts: KnownCounts;
  readonly borrowers: KnownBorrowers;
  readonly presence: StoragePresence;
  /** Set once, before repositories change; `undefined` if their changes are not needed. */
  lifecycleRecorder: LifecycleRecorder | undefined;

  /** Called after a repository was removed, or moved away from a path. */
  onLeft: ((target: { readonly storageName: string; readonly relativePath: string }) => void) | undefined;
  readonly #seen: SeenRepositories;
  readonly #byName: ReadonlyMap<string, Storage>;
  readonly #valid: ValidRepositories;

  constructor(options: StoragesOptions) {
    this.caches = options.caches;
    this.repositoryCounts = options.repositoryCounts ?? new RepositoryCounts();
    this.borrowers = options.borrowers ?? new Borrowers();
    this.#seen = new SeenRepositories(options.mover);
    this.#valid = new ValidRepositories(options.now ?? Date.now);
    this.all = options.storages.map(({ name, path: directory }) => ({
      name,
      path: path.posix.resolve(directory),
    }));
    this.presence = new StoragePresence(this.all);
    this.#byName = new Map(this.all.map((storage) => [storage.name, storage]));
  }

  get git(): Git {
    return this.caches.git;
  }

  /** Returns a storage. @throws {GitalyError} INVALID_ARGUMENT for an empty or unknown name. */
  storage(name: string): Storage {
    if (name === '') throw invalidArgument('storage name not set');
    const storage = this.#byName.get(name);
    if (storage === undefined) {
      throw invalidArgument('storage name not found', {
        metadata: { storage_name: name },
      });
    }
    return storage;
  }

  /**
   * Opens the repository of a request.
   *
   * @throws {GitalyError} INVALID_ARGUMENT, NOT_FOUND or FAILED_PRECONDITION with Gitaly's texts.
   */
  open(target: RepositoryTarget | undefined, options: OpenOptions = {}): Repository {
    const given = requireTarget(target);
    const { location, stats } = this.#find(given, options);
    if (options.caches === undefined) this.#seen.note(location.path, stats);
    return this.#repository(location, given, options.caches);
  }

  /**
   * Returns the absolute object directory of a request, after checking the repository as in `open`.
   *
   * @throws {GitalyError} INVALID_ARGUMENT when the request has none or one that lies elsewhere,
   *   NOT_FOUND when it is missing.
   */
  objectDirectory(target: RepositoryTarget | undefined): string {
    const given = requireTarget(target);
    return namedObjectDirectory(this.#find(given, {}).location, given);
  }

  /**
   * Returns the location of a repository that need not exist, for calls that create one.
   *
   * @throws {GitalyError} as `open`, but without checking the directory itself.
   */
  locate(target: RepositoryTarget | undefined): RepositoryLocation {
    const given = requireTarget(target);
    const storage = this.storage(given.storageName);
    const known = this.#valid.find(storage, given.relativePath);
    if (known !== undefined) return known.location;
    const problem = storageProblem(storage);
    if (problem !== undefined) throw problem;
    const location = locationIn(storage, given.relativePath);
    if (escapesBySymlink(storage.path, location.path)) throw withRepositoryMetadata(escapes(), given);
    return location;
  }

  /**
   * Returns a repository at a location that the caller has checked, such as one that is being
   * created.
   */
  repositoryAt(location: RepositoryLocation): Repository {
    return this.#repository(location, {
      storageName: location.storage.name,
      relativePath: location.relativePath,
    });
  }

  /**
   * Creates, removes or moves a repository, and records the change. @throws what the function
   * throws.
   */
  async recordWhile(change: LifecycleChange, make: () => Promise<void>): Promise<void> {
    if (this.lifecycleRecorder === undefined) await make();
    else await this.lifecycleRecorder.recordWhile(change, make);
    const { kind, location, previousPath } = change;
    const left = kind === 'removed' ? location.relativePath : previousPath;
    if (left !== undefined) this.onLeft?.({ storageName: location.storage.name, relativePath: left });
  }

  /** Records that a repository was created at a path, moved there or away from there. */
  noteMove({ path }: Pick<RepositoryLocation, 'path'>): void {
    this.#seen.noteMove(path);
  }

  /**
   * Returns what happened to a repository since a time (`performance.now()`) at which a call used
   * it; `undefined` if that call has moved it.
   */
  changeSince(target: RepositoryTarget, sinceMs: number, call?: object): RepositoryChange | undefined {
    const storage = this.#byName.get(target.storageName);
    const path = storage && joinInside(storage.path, target.relativePath);
    return path === undefined ? undefined : this.#seen.changeSince(path, sinceMs, call);
  }

  /**
   * Returns the reason why the object format of a repository cannot be used; `undefined` if it can,
   * and for a repository that cannot be opened.
   */
  formatProblem(target: RepositoryTarget): string | undefined {
    let repository: Repository;
    try {
      repository = this.open(target);
    } catch {
      return undefined; // that is the reason then
    }
    const { objectFormat, objectFormatName } = repository.format;
    return objectFormat === undefined ? `unknown object format: ${quote(objectFormatName)}` : undefined;
  }

  #find(target: RepositoryTarget, options: OpenOptions): ValidRepository {
    const storage = this.storage(target.storageName);
    const known = this.#valid.find(storage, target.relativePath);
    if (known !== undefined) return known;

    try {
      const location = locationIn(storage, target.relativePath);
      const stats = checkGitDirectory(location.path);
      if (escapesBySymlink(storage.path, location.path)) throw escapes();
      if (options.caches === undefined) this.#valid.remember(location, target.relativePath, stats);
      return { location, stats };
    } catch (error) {
      const cause = storageProblem(storage) ?? error;
      throw withRepositoryMetadata(withCode(cause, options.otherwise ?? 'INVALID_ARGUMENT'), target);
    }
  }

  #repository(location: RepositoryLocation, target: RepositoryTarget, caches = this.caches): Repository {
    return new Repository(caches, location, objectDirectories(location, target), target);
  }
}

function locationIn(storage: Storage, relativePath: string): RepositoryLocation {
  const joined = joinInside(storage.path, relativePath);
  if (joined === undefined) throw escapes();
  return { storage, path: joined, relativePath: path.posix.relative(storage.path, joined) || '.' };
}

/** Returns why a storage has no repositories: its directory is missing, or cannot be reached. */
function storageProblem(storage: Storage): GitalyError | undefined {
  try {
    if (statSync(storage.path, { throwIfNoEntry: false }) !== undefined) return undefined;
  } catch (error) {
    return new GitalyError('UNKNOWN', `storage path: stat ${storage.path}: ${systemErrorText(error)}`, {
      cause: error,
    });
  }
  return new GitalyError('NOT_FOUND', 'storage does not exist', { metadata: { storage_path: storage.path } });
}

function escapes(): GitalyError {
  return invalidArgument('relative path escapes root directory');
}

function withRepositoryMetadata(error: GitalyError, target: RepositoryTarget): GitalyError {
  return new GitalyError(error.code, error.message, {
    cause: error.cause,
    details: error.details,
    metadata: { ...error.metadata, storage_name: target.storageName, relative_path: target.relativePath },
  });
}
