import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { alternateDirectory, readAlternates } from './alternates.ts';
import type { RepositoryLocation, Storage } from './repository-target.ts';
import { walkRepositories } from './walk-repositories.ts';

/**
 * Limit of known borrowers: an entry takes some 300 bytes. With more of them, each search walks.
 */
const MAX_KNOWN = 200_000;

/** A repository that borrows objects, with the absolute object directories that it names. */
export interface Borrower {
  readonly location: RepositoryLocation;
  readonly directories: readonly string[];
}

/** The repositories of a server that borrow objects, as any of its processes knows them. */
export interface KnownBorrowers {
  /** Records a repository that is new at its path, or has been linked to another one. */
  note(location: RepositoryLocation): Promise<void>;
  /**
   * Returns all repositories that borrow now.
   *
   * @throws {GitalyError} `read alternates file: …` when one cannot be read now.
   */
  find(storages: readonly Storage[], signal: AbortSignal): Promise<readonly Borrower[]>;
  /** Lets the next search walk: repositories were moved, and their new paths not recorded. */
  forget(): Promise<void>;
}

/**
 * The repositories of a server that borrow objects. The first search walks all storages. From then
 * on, repositories are added that begin to borrow, or are moved. One that no longer borrows is
 * dropped when its alternates are read. The list is only in memory, so neither a crash nor another
 * server that used the storages before can make it wrong.
 */
export class Borrowers implements KnownBorrowers {
  readonly #known = new Map<string, RepositoryLocation>();
  /** Nothing is recorded before the first search. New borrowers are recorded during it. */
  #state: 'unknown' | 'searching' | 'complete' = 'unknown';
  /** Replaced when the list is discarded: searches that run have missed repositories then. */
  #list = {};

  async note({ storage, relativePath, path }: RepositoryLocation): Promise<void> {
    if (this.#state === 'unknown') return; // the first search will find it
    // One that cannot be read now is read again by the next search.
    const borrows = await directoriesOf(path).then(
      (directories) => directories?.length !== 0,
      () => true,
    );
    if (borrows) this.#known.set(path, { storage, relativePath, path });
  }

  async find(storages: readonly Storage[], signal: AbortSignal): Promise<Borrower[]> {
    for (;;) {
      const list = this.#list;
      if (this.#state !== 'complete') await this.#walk(storages, signal);
      const found = await this.#readKnown(signal);
      if (list !== this.#list) continue;
      if (this.#known.size > MAX_KNOWN) this.#discard();
      return found;
    }
  }

  async forget(): Promise<void> {
    this.#discard();
  }

  async #readKnown(signal: AbortSignal): Promise<Borrower[]> {
    const found: Borrower[] = [];
    for (const location of [...this.#known.values()]) {
      signal.throwIfAborted();
      const directories = await directoriesOf(location.path);
      if (directories?.length === 0) this.#known.delete(location.path);
      else if (directories !== undefined) found.push({ location, directories });
    }
    return found;
  }

  async #walk(storages: readonly Storage[], signal: AbortSignal): Promise<void> {
    this.#state = 'searching';
    const list = this.#list;
    try {
      for (const storage of storages)
        for await (const { relativePath, path } of walkRepositories(storage, { signal }))
          await this.note({ storage, relativePath, path });
    } catch (error) {
      this.#discard();
      throw error;
    }
    if (list === this.#list) this.#state = 'complete';
  }

  #discard(): void {
    this.#list = {};
    this.#known.clear();
    this.#state = 'unknown';
  }
}

/** Errors of a file that nobody can read before somebody repairs it. */
const UNREADABLE = ['EACCES', 'EISDIR', 'ELOOP'];

/**
 * Returns the object directories that a repository names; none if its file is missing, `undefined`
 * if it is unreadable: git takes no directories from it either.
 *
 * @throws {GitalyError} for any other error, such as too many open files: the next try may find
 *   directories.
 */
async function directoriesOf(path: string): Promise<readonly string[] | undefined> {
  try {
    const lines = (await readAlternates(path))?.objectDirectories ?? [];
    return lines.map((line) => alternateDirectory(path, line));
  } catch (error) {
    const code = error instanceof GitalyError ? systemErrorCode(error.cause) : undefined;
    if (code === 'ENOTDIR') return [];
    if (code === undefined || !UNREADABLE.includes(code)) throw error;
    return undefined;
  }
}
