import { createHash } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { GitalyError, wrap } from '#base/gitaly-error';
import { systemErrorCode } from '#base/system-error';
import { LockTakenError } from './repository-lock.ts';
import { syncPath } from './sync-tree.ts';
import type { Vote } from './voter.ts';

/** What the nodes compare before they know the content. */
const PREPARING = 'preparing commit locked file';

/** A file of a repository that is replaced as a whole. */
export interface LockedFileOptions {
  /** Mode of the new file. */
  readonly mode: number;
  readonly vote?: Vote | undefined;
}

/**
 * Replaces a file of a repository in git's own way: `<file>.lock` is made, filled, flushed and renamed over it, so that git and
 * other writers stay out meanwhile and a reader sees the old or the new content. A failure leaves the file as it was.
 *
 * In a cluster the nodes agree on the content before and after the rename.
 *
 * @throws {LockTakenError} when somebody else is at it.
 */
export async function replaceLocked(file: string, content: Uint8Array, options: LockedFileOptions): Promise<void> {
  const lock = `${file}.lock`;
  await createLock(lock, content, options.mode);
  try {
    await castVotes(options.vote, content);
    await rename(lock, file);
  } catch (error) {
    await unlink(lock);
    throw error;
  }
  await syncPath(path.posix.dirname(file));
  await options.vote?.('committed', sha1(content)).catch((error: unknown) => {
    throw wrap(error, 'committing vote', 'FAILED_PRECONDITION');
  });
}

async function castVotes(vote: Vote | undefined, content: Uint8Array): Promise<void> {
  try {
    await vote?.('preparing', sha1(PREPARING));
    await vote?.('prepared', sha1(content));
  } catch (error) {
    throw wrap(error, 'preimage vote', 'FAILED_PRECONDITION');
  }
}

async function createLock(lock: string, content: Uint8Array, mode: number): Promise<void> {
  const handle = await open(lock, 'wx', mode).catch((error: unknown) => {
    if (systemErrorCode(error) === 'EEXIST') throw new LockTakenError();
    throw new GitalyError('INTERNAL', 'creating lock file', { cause: error });
  });
  try {
    await handle.writeFile(content);
    await handle.sync();
  } catch (error) {
    await unlink(lock);
    throw error;
  } finally {
    await handle.close();
  }
}

function sha1(content: string | Uint8Array): Buffer {
  return createHash('sha1').update(content).digest();
}
