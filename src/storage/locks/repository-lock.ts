import { createHash } from 'node:crypto';
import { lstat, readlink, symlink, unlink } from 'node:fs/promises';
import { GitalyError, wrap } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { isRunning, ownIdentity, parseIdentity } from '#base/process-identity';
import { makeDirectories } from '../lifecycle/make-directories.ts';
import type { Storage } from '../repository-target.ts';
import { tempRoot } from '../storage-layout.ts';

/**
 * Age up to which a lock with an unknown owner (another machine, another implementation) is
 * respected. Locks are held at most for the votes of the nodes, but a node that is still cloning
 * can make the others wait for hours.
 */
export const UNKNOWN_OWNER_MAX_AGE_MS = 24 * 60 * 60 * 1000;

/** Another process holds the lock. */
export class LockTakenError extends Error {
  override readonly name = 'LockTakenError';

  constructor() {
    super('file already locked');
  }
}

/**
 * Takes the lock for creating, moving or removing a repository: a file `<repository>.lock` next to
 * it. Other Gitaly processes on the same storage respect it too. It does not protect the contents
 * of the repository; git does.
 *
 * The file is a dangling link whose text identifies its process. A link is created together with
 * its text, so a killed process never leaves one without an owner. A lock left by a killed process
 * is removed.
 *
 * Dispose it to release. The parent directory must exist.
 * @throws {LockTakenError} when another process holds it, without waiting.
 */
export async function lockRepository(storage: Storage, repositoryPath: string): Promise<AsyncDisposable> {
  const file = `${repositoryPath}.lock`;
  const owner = JSON.stringify(ownIdentity());
  const isOurs =
    (await createLink(file, owner)) ||
    ((await removeStale(storage, file)) && (await createLink(file, owner)));
  if (!isOurs) throw new LockTakenError();
  return { [Symbol.asyncDispose]: () => unlink(file) };
}

/**
 * Takes the lock as {@link lockRepository} does, for a call that changes the repository.
 *
 * @param doing prefix of other errors.
 * @throws {GitalyError} FAILED_PRECONDITION when another process holds it.
 */
export async function lockForCall(
  storage: Storage,
  repositoryPath: string,
  doing: string,
): Promise<AsyncDisposable> {
  return await lockRepository(storage, repositoryPath).catch((error: unknown) => {
    if (error instanceof LockTakenError)
      throw new GitalyError('FAILED_PRECONDITION', 'repository is already locked', { cause: error });
    throw wrap(error, doing);
  });
}

/**
 * Removes the lock on a repository if its owner is known to be gone.
 *
 * @returns whether there was one.
 */
export async function removeStaleLock(storage: Storage, repositoryPath: string): Promise<boolean> {
  const file = `${repositoryPath}.lock`;
  if ((await readLock(file))?.isStale !== true) return false;
  return await removeStale(storage, file);
}

/** Reports whether a repository has a lock whose owner is known to be gone. */
export async function hasStaleLock(repositoryPath: string): Promise<boolean> {
  return (await readLock(`${repositoryPath}.lock`))?.isStale === true;
}

/** Creates a link. @returns whether there was none before. */
async function createLink(file: string, content: string): Promise<boolean> {
  try {
    await symlink(content, file);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes a lock whose owner is dead. Two processes that find it at the same time must not remove
 * each other's new one. So each first needs a claim on this lock, and checks it again afterwards:
 * from then on only the holder may remove the file.
 *
 * @returns whether another attempt is useful.
 */
async function removeStale(storage: Storage, file: string): Promise<boolean> {
  const found = await readLock(file);
  if (found === undefined) return true;
  if (!found.isStale) return false;
  await makeDirectories(storage, tempRoot(storage));
  const claim = `${tempRoot(storage)}/lock-${found.id}`;
  if (!(await createLink(claim, JSON.stringify(ownIdentity())))) return false;
  try {
    if ((await readLock(file))?.id === found.id) await unlink(file);
    return true;
  } finally {
    await unlink(claim);
  }
}

async function readLock(
  file: string,
): Promise<{ readonly id: string; readonly isStale: boolean } | undefined> {
  try {
    const content = await readlink(file).catch(noLink);
    const { ino, mtimeMs } = await lstat(file);
    const owner = parseIdentity(content);
    const isAlive = owner === undefined ? undefined : isRunning(owner);
    return {
      id: createHash('sha1').update(`${file}\0${content}\0${ino}\0${mtimeMs}`).digest('hex'),
      isStale: isAlive === undefined ? Date.now() - mtimeMs > UNKNOWN_OWNER_MAX_AGE_MS : !isAlive,
    };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Returns empty content for a file that is no link: Gitaly's own locks are empty files. */
function noLink(error: unknown): string {
  if (systemErrorCode(error) === 'EINVAL') return '';
  throw error;
}
