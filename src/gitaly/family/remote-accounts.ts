import { list, nothing, object, oneOf, text } from '#base/shape';
import type { RepositoryLocation } from '#storage/repository-target';
import type { Storages, StoragesOptions } from '#storage/storages';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, protocol, remote, told } from '#workers/protocol';

const storage = object({ name: text, path: text });
const location = object({ storage, relativePath: text, path: text });

/** Facts about all repositories, which the supervisor records. */
const ACCOUNTS = protocol('repositories', {
  count: told(object({ location, change: oneOf(1, -1) })),
  clear: told(storage),
  /**
   * A pool is deleted only after all borrowers have its objects, whichever process has linked them:
   * the answer comes when the supervisor has noted one.
   */
  noteBorrower: asked(location, nothing),
  findBorrowers: asked(nothing, list(object({ location, directories: list(text) }))),
  forgetBorrowers: asked(nothing, nothing),
});

export function remoteAccounts(link: Link): Pick<StoragesOptions, 'borrowers' | 'repositoryCounts'> {
  const { clear, count, findBorrowers, forgetBorrowers, noteBorrower } = remote(link, ACCOUNTS);
  return {
    repositoryCounts: {
      add: (repository, change) => count({ location: plain(repository), change }),
      clear: ({ name, path }) => clear({ name, path }),
      count: async () => {},
      entries: () => [],
    },
    borrowers: {
      note: (repository) => noteBorrower(plain(repository)),
      find: (_storages, signal) => findBorrowers(undefined, { signal }),
      forget: () => forgetBorrowers(undefined),
    },
  };
}

/** Returns only the place: an open repository has functions, which no message can carry. */
function plain({
  storage: { name, path: directory },
  relativePath,
  path,
}: RepositoryLocation): RepositoryLocation {
  return { storage: { name, path: directory }, relativePath, path };
}

/** Keeps the accounts of repositories for workers. */
export function answerForAccounts(desk: Desk, { all, borrowers, repositoryCounts }: Storages): void {
  answer(desk, ACCOUNTS, {
    count: ({ location: repository, change }) => repositoryCounts.add(repository, change),
    clear: (cleared) => repositoryCounts.clear(cleared),
    noteBorrower: (repository) => borrowers.note(repository),
    findBorrowers: (_value, { signal }) => borrowers.find(all, signal),
    forgetBorrowers: () => borrowers.forget(),
  });
}
