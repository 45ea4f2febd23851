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
  /** Returns all repositories that borrow now. */
  find(storages: readonly Storage[], signal: AbortSignal): Promise<readonly Borrower[]>;
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

  async note({ storage, relativePath, path }: RepositoryLocation): Promise<void> {
    if (this.#state === 'unknown') return; // the first search will find it
    if ((await directoriesOf(path)).length === 0) return;
    this.#known.set(path, { storage, relativePath, path });
  }

  async find(storages: readonly Storage[], signal: AbortSignal): Promise<Borrower[]> {
    if (this.#state !== 'complete') await this.#walk(storages, signal);
    const found: Borrower[] = [];
    for (const location of [...this.#known.values()]) {
      signal.throwIfAborted();
      const directories = await directoriesOf(location.path);
      if (directories.length > 0) found.push({ location, directories });
      else this.#known.delete(location.path);
    }
    if (this.#known.size > MAX_KNOWN) this.#forget();
    return found;
  }

  async #walk(storages: readonly Storage[], signal: AbortSignal): Promise<void> {
    this.#state = 'searching';
    try {
      for (const storage of storages)
        for await (const { relativePath, path } of walkRepositories(storage, { signal }))
          await this.note({ storage, relativePath, path });
    } catch (error) {
      this.#forget();
      throw error;
    }
    this.#state = 'complete';
  }

  #forget(): void {
    this.#known.clear();
    this.#state = 'unknown';
  }
}

/** git takes no directories from an unreadable file either. */
async function directoriesOf(path: string): Promise<string[]> {
  const lines = (await readAlternates(path).catch(() => undefined))?.objectDirectories ?? [];
  return lines.map((line) => alternateDirectory(path, line));
}
