import { randomBytes } from 'node:crypto';
import { copyFile } from 'node:fs/promises';
import { isError } from '#base/is-error';
import { createRepository } from '#storage/lifecycle/create-repository';
import { removeRepository } from '#storage/lifecycle/remove-repository';
import { LockTakenError } from '#storage/locks/repository-lock';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { adoptObjects } from '../object-pool/adopt-objects.ts';
import { linkMember } from '../object-pool/link-member.ts';
import { openPool } from '../object-pool/open-pool.ts';
import { poolOfMember } from '../object-pool/pool-of-member.ts';

const NAME_BYTES = 32;
const DIRECTORY_DIGITS = 2;

/**
 * Returns the pool of a repository; `undefined` if it has none.
 *
 * @throws {GitalyError} as {@link poolOfMember}.
 */
export async function findSourcePool(
  storages: Storages,
  source: Repository,
): Promise<Repository | undefined> {
  const target = await poolOfMember(storages, source);
  return target && openPool(storages, target);
}

export interface CreateSourcePoolOptions {
  /** File in the format of `packed-refs`: the references of the pool. */
  readonly references: string;
  readonly signal: AbortSignal;
}

/**
 * Creates a pool for a repository and makes the repository a member of it. The pool's files are
 * hard links of the repository's, so it takes no space and a time that depends only on their
 * number. Without hard links they are copied.
 */
export async function createSourcePool(
  storages: Storages,
  source: Repository,
  { references, signal }: CreateSourcePoolOptions,
): Promise<Repository> {
  const target = newPoolTarget(source);
  const seed = async (draft: Repository): Promise<void> => {
    await copyFile(references, `${draft.path}/packed-refs`);
    await adoptObjects(source.objectDirectory, draft.objectDirectory, signal);
  };
  const { objectFormat } = source;
  const pool = await createRepository(storages, target, { objectFormat, seed, signal });
  try {
    await linkMember(pool, source, { borrowers: storages.borrowers, signal });
  } catch (error) {
    // Nobody borrows from it then. After another error, the source may.
    if (isError(error) && error.cause instanceof LockTakenError) await removeRepository(storages, pool);
    throw error;
  }
  return pool;
}

/** A name that no other pool has: the source may be renamed, and another one take its name. */
function newPoolTarget({ storageName }: Repository): RepositoryTarget {
  const name = randomBytes(NAME_BYTES).toString('hex');
  const [first, second] = [0, DIRECTORY_DIGITS].map((at) => name.slice(at, at + DIRECTORY_DIGITS));
  return { storageName, relativePath: `@pools/${first}/${second}/${name}.git` };
}
