import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeDirectory } from '#base/files/make-directory';
import { systemErrorCode } from '#base/go/system-error';
import { mapAhead } from '#base/streams/map-ahead';
import { IN_TRANSITION, LockHeldError, takeLock, type UpLock } from './up-lock.ts';

/**
 * Limit that leaves space for the names of sockets: the system accepts paths of about 104 bytes.
 */
const MAX_SOCKET_DIRECTORY_BYTES = 60;
const NAME = /^gitaly-ts-[0-9a-f]{12}$/;
const LOCK = 'up.lock';
const WRITABLE_BY_OTHERS = 0o022;
/** Description of a process that holds the lock to remove what another one has left. */
const REMOVING = 'its sockets are being removed';
/** Directories that one start looks at, so that it does not take minutes. */
const MAX_LEFT = 1000;
const REMOVED_AT_ONCE = 8;
/** The removal of a directory takes some milliseconds, on a busy machine more. */
const MAX_ATTEMPTS = 100;
const PAUSE_MS = 20;

/**
 * Returns the directory for the sockets of `up` on a directory: the same, or one in the temporary
 * directory if its name is long.
 */
export function socketDirectoryOf(path: string): string {
  if (Buffer.byteLength(path) <= MAX_SOCKET_DIRECTORY_BYTES) return path;
  return join(tmpdir(), `gitaly-ts-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`);
}

/** Takes the lock of `up` in its own directory. @throws {LockHeldError}; the system's error. */
export async function takeOwnLock(directory: string): Promise<UpLock> {
  return await takeLock(join(directory, LOCK));
}

/**
 * Makes the directory of sockets, which is in a directory of all users, and takes the lock in it.
 *
 * @param owner of the repositories.
 * @throws {LockHeldError}; {Error} if another user can exchange the sockets.
 */
export async function takeSocketDirectory(directory: string, owner: number): Promise<UpLock> {
  for (let tries = 1; ; tries++) {
    try {
      await makePrivate(directory, owner);
      return await takeOwnLock(directory);
    } catch (error) {
      if (tries === MAX_ATTEMPTS || !isBeingRemoved(directory, error)) throw error;
      await delay(PAUSE_MS);
    }
  }
}

function isBeingRemoved(directory: string, error: unknown): boolean {
  if (error instanceof LockHeldError) return error.message === REMOVING || error.message === IN_TRANSITION;
  // A socket in a missing directory is refused with EACCES.
  return systemErrorCode(error) === 'ENOENT' || !existsSync(directory);
}

async function makePrivate(directory: string, owner: number): Promise<void> {
  await makeDirectory(directory, { mode: 0o700 });
  const stats = await lstat(directory);
  const isTrusted = stats.uid === owner || stats.uid === process.getuid?.();
  if (isTrusted && stats.isDirectory() && (stats.mode & WRITABLE_BY_OTHERS) === 0) return;
  throw new Error(`other users can change ${directory}, which is needed for sockets: remove it`);
}

/** Removes a directory of sockets, unless another process takes the lock before it is gone. */
export async function leaveSocketDirectory(directory: string, lock: UpLock): Promise<void> {
  try {
    for (const name of await readdir(directory))
      if (name !== LOCK) await rm(join(directory, name), { recursive: true, force: true });
  } finally {
    await lock.release();
  }
  await rmdir(directory).catch(() => {}); // it is used again
}

/**
 * Removes this user's directories of sockets whose processes were killed: those in which nobody
 * holds the lock. Never rejects.
 */
export async function removeKilledSocketDirectories(): Promise<void> {
  const parent = tmpdir();
  // On failure: others' temporary files may be hidden.
  const names = (await readdir(parent).catch(() => [])).filter((name) => NAME.test(name));
  const left = names.slice(0, MAX_LEFT).map((name) => join(parent, name));
  for await (const _ of mapAhead(left, REMOVED_AT_ONCE, removeIfKilled));
}

async function removeIfKilled(directory: string): Promise<void> {
  try {
    const { uid } = await lstat(directory);
    if (uid !== process.getuid?.()) return;
    await lstat(join(directory, LOCK));
    await leaveSocketDirectory(directory, await takeLock(join(directory, LOCK), REMOVING));
  } catch {
    // Its process runs, or it is no such directory, or another start removes it.
  }
}
