import { type Borrower, Borrowers } from '#storage/borrowers';
import { RepositoryCounts } from '#storage/repository-counts';
import type { RepositoryLocation, Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';

const COUNTED = 'repositories: counted';
const CLEARED = 'repositories: cleared';
const NOTE_BORROWER = 'borrowers: note';
const FIND_BORROWERS = 'borrowers: find';

/** A change of the number of repositories. */
interface Counted {
  readonly location: RepositoryLocation;
  readonly change: 1 | -1;
}

/** Forwards changes to the supervisor, which adds them up. */
class RemoteRepositoryCounts extends RepositoryCounts {
  readonly #link: Link;

  constructor(link: Link) {
    super();
    this.#link = link;
  }

  override add(location: RepositoryLocation, change: 1 | -1): void {
    this.#link.tell(COUNTED, { location: plain(location), change } satisfies Counted);
  }

  override clear(storage: Storage): void {
    this.#link.tell(CLEARED, plainStorage(storage));
  }
}

/**
 * The borrowers that the supervisor knows: a pool is deleted only after all of them have its
 * objects, whichever process has linked them.
 */
class RemoteBorrowers extends Borrowers {
  readonly #link: Link;

  constructor(link: Link) {
    super();
    this.#link = link;
  }

  /** Resolves when the supervisor has noted it. */
  override async note(location: RepositoryLocation): Promise<void> {
    await this.#link.ask(NOTE_BORROWER, plain(location));
  }

  override async find(_storages: readonly Storage[], signal: AbortSignal): Promise<Borrower[]> {
    const { value } = await this.#link.ask(FIND_BORROWERS, undefined, { signal });
    return value as Borrower[]; // from `answerForAccounts`
  }
}

/** Returns only the place: an open repository has functions, which no message can carry. */
function plain({ storage, relativePath, path }: RepositoryLocation): RepositoryLocation {
  return { storage: plainStorage(storage), relativePath, path };
}

function plainStorage({ name, path }: Storage): Storage {
  return { name, path };
}

/** Returns the accounts of repositories for a worker. */
export function remoteAccounts(link: Link): {
  readonly repositoryCounts: RepositoryCounts;
  readonly borrowers: Borrowers;
} {
  return { repositoryCounts: new RemoteRepositoryCounts(link), borrowers: new RemoteBorrowers(link) };
}

/** Keeps the accounts of repositories for workers. The types of values are those of the functions above. */
export function answerForAccounts(desk: Desk, storages: Storages): void {
  const { borrowers, repositoryCounts } = storages;
  desk.onTold(COUNTED, (value) => {
    const { location, change } = value as Counted;
    repositoryCounts.add(location, change);
  });
  desk.onTold(CLEARED, (value) => repositoryCounts.clear(value as Storage));
  desk.onAsked(NOTE_BORROWER, async (value) => {
    await borrowers.note(value as RepositoryLocation);
    return {};
  });
  desk.onAsked(FIND_BORROWERS, async (_value, { signal }) => ({
    value: await borrowers.find(storages.all, signal),
  }));
}
