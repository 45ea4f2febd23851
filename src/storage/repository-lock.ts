import { createHash } from 'node:crypto';
import { lstat, readlink, symlink, unlink } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';
import { makeDirectories } from './make-directories.ts';
import { isRunning, ownIdentity, type ProcessIdentity } from './process-identity.ts';
import type { Storage } from './repository-target.ts';
import { tempRoot } from './storage-layout.ts';

/**
 * When the owner is not known to be alive or dead (another machine, another implementation), a lock is believed for so long. A
 * repository is locked for the votes of the nodes at most, and a node that still clones can let the others wait for hours.
 */
export const UNKNOWN_OWNER_MAX_AGE_MS = 24 * 60 * 60 * 1000;

/** Somebody else holds the lock. */
export class LockTakenError extends Error {
  override readonly name = 'LockTakenError';

  constructor() {
    super('file already locked');
  }
}

/**
 * Takes the lock on creating, moving or removing a repository: a file `<repository>.lock` beside it, made by whoever is first.
 * Other Gitaly processes on the same storage obey it too. It does not guard what is inside the repository; git does that.
 *
 * The file is a link that leads nowhere and whose text says which process made it: a link comes into being together with its text,
 * so a process that is killed never leaves one that nobody can judge. One that a killed process left is taken away.
 *
 * Dispose it to release. The parent directory must exist.
 * @throws {LockTakenError} when somebody holds it; there is no waiting.
 */
export async function lockRepository(storage: Storage, repositoryPath: string): Promise<AsyncDisposable> {
  const file = `${repositoryPath}.lock`;
  const owner = JSON.stringify(ownIdentity());
  const isOurs = (await createLink(file, owner)) || ((await removeStale(storage, file)) && (await createLink(file, owner)));
  if (!isOurs) throw new LockTakenError();
  return { [Symbol.asyncDispose]: () => unlink(file) };
}

/** @returns whether there was none before. */
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
 * Takes a lock away whose owner is gone. Two that find it at the same time must not take away each other's new one, so each needs a
 * claim on this very lock first, and looks again when it has it: from then on only the holder may remove the file.
 *
 * @returns whether it is worth while to try again.
 */
async function removeStale(storage: Storage, file: string): Promise<boolean> {
  const found = await readLock(file);
  if (found === undefined) return true;
  if (!found.isStale) return false;
  await makeDirectories(storage, tempRoot(storage));
  const claim = `${tempRoot(storage)}/lock-${found.id}`;
  if (!(await createLink(claim, 'claimed'))) return false;
  try {
    if ((await readLock(file))?.id === found.id) await unlink(file);
    return true;
  } finally {
    await unlink(claim);
  }
}

async function readLock(file: string): Promise<{ readonly id: string; readonly isStale: boolean } | undefined> {
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

/** Gitaly's own locks are empty files. */
function noLink(error: unknown): string {
  if (systemErrorCode(error) === 'EINVAL') return '';
  throw error;
}

/** `undefined` for a lock that does not say whose it is. */
function parseIdentity(content: string): ProcessIdentity | undefined {
  try {
    const value: Partial<Record<string, unknown>> = Object(JSON.parse(content));
    const { place, pid, startTime } = value;
    if (typeof place !== 'string' || typeof pid !== 'number' || typeof startTime !== 'string') return undefined;
    return { place, pid, startTime };
  } catch {
    return undefined;
  }
}
