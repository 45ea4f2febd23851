import { AsyncLocalStorage } from 'node:async_hooks';
import type { GitCommit } from '#wire/gen/shared_pb';
import { currentStore } from './request-store.ts';

/** Limit of commits that a request keeps, about 1 KiB each. A web request reads a few dozen. */
const MAX_COMMITS = 1000;

const refNames = new AsyncLocalStorage<true>();

/** Runs `work`. In it, commits are cached by the names of references as well. */
export function withRefNameCaching<T>(work: () => T): T {
  return refNames.run(true, work);
}

/**
 * Returns a commit that the current request has found before, else the result of `find`. A
 * reference may point to another commit later, so commits are cached only by id, unless
 * `withRefNameCaching` allows names of references. @see GitLab:
 * Gitlab::GitalyClient::CommitService#find_commit
 */
export async function cachedCommit(
  { storageName, relativePath = '' }: { readonly storageName: string; readonly relativePath?: string },
  revision: Uint8Array,
  find: () => Promise<GitCommit | undefined>,
): Promise<GitCommit | undefined> {
  const store = currentStore();
  if (store === undefined) return await find();
  store.commits ??= new Map();
  const { commits } = store;
  const commitKey = (name: string) => `${storageName}\0${relativePath}\0${name}`;
  const key = commitKey(Buffer.from(revision).toString('latin1'));
  if (commits.has(key)) return commits.get(key);
  const commit = await find();
  if (commits.size >= MAX_COMMITS) return commit;
  if (refNames.getStore() === true) commits.set(key, commit);
  else if (commit !== undefined) commits.set(commitKey(commit.id), commit);
  return commit;
}
