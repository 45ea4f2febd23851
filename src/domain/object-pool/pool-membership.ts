import { isGitDirectory } from '#storage/git-directory';
import { beginChangeInTurn, type Exclusion, excludeChanges } from '#storage/locks/write-exclusion';
import type { Repository } from '#storage/repository';
import { InvalidPoolError } from './open-pool.ts';

/** Returns the target of the marks. Calls that change a pool, as its deletion, have other marks. */
function membersOf({ storage, relativePath }: Repository) {
  return { storage, relativePath: `${relativePath}/members` };
}

/**
 * Begins to make a repository a member of a pool, which is not removed meanwhile. Dispose the
 * result when the member is there and recorded as a borrower: a deletion gives it its objects then.
 *
 * @throws {InvalidPoolError} when the pool has been deleted. {GitalyError} as
 *   {@link beginChangeInTurn}.
 */
export async function joinPool(
  pool: Repository,
  { signal }: { readonly signal: AbortSignal },
): Promise<AsyncDisposable> {
  const excludedBy = 'the object pool is being deleted';
  const change = await beginChangeInTurn(membersOf(pool), { signal, excludedBy });
  if (isGitDirectory(pool.path)) return { [Symbol.asyncDispose]: () => change.end() };
  await change.end();
  throw new InvalidPoolError();
}

/**
 * Waits until nobody joins a pool, and lets nobody join until it is disposed.
 *
 * @throws {GitalyError} as {@link excludeChanges}.
 */
export async function excludeNewMembers(pool: Repository, signal: AbortSignal): Promise<Exclusion> {
  return await excludeChanges(membersOf(pool), signal);
}
