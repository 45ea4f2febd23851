import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { syncPath } from '#base/files/sync-path';
import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { type Vote, voteHash } from '../lifecycle/voter.ts';
import { LockTakenError } from './repository-lock.ts';

/** Value that the nodes compare before the content is known. */
const PREPARING = 'preparing commit locked file';

/** Options for replacing a file of a repository. */
export interface LockedFileOptions {
  /** Mode of the new file. */
  readonly mode: number;
  readonly vote?: Vote | undefined;
}

/**
 * Replaces a file of a repository as git does: creates, fills and flushes `<file>.lock` and renames
 * it over the file. So git and other writers are excluded meanwhile, and a reader sees the old or
 * the new content. A failure leaves the file unchanged.
 *
 * In a cluster the nodes agree on the content before and after the rename.
 *
 * @param newContent the content, or a function that is called while the lock is held.
 * @throws {LockTakenError} when another writer holds the lock, or has taken it meanwhile.
 */
export async function replaceLocked(
  file: string,
  newContent: Uint8Array | (() => Promise<Uint8Array>),
  options: LockedFileOptions,
): Promise<void> {
  const lock = `${file}.lock`;
  const handle = await openLock(lock, options.mode);
  let own: string | undefined;
  // Housekeeping takes a lock for left behind that is held for very long, as by a vote.
  const isOwn = async (): Promise<boolean> => own === undefined || (await stampOf(lock)) === own;
  let content: Uint8Array;
  try {
    content = await fill(handle, newContent);
    own = await stampOf(lock);
    await castVotes(options.vote, content);
    if (!(await isOwn())) throw new LockTakenError();
    await rename(lock, file);
  } catch (error) {
    if (await isOwn()) await unlink(lock);
    throw error;
  }
  await syncPath(path.posix.dirname(file));
  await options
    .vote?.('committed', voteHash(content))
    .catch(wrapped('committing vote', 'FAILED_PRECONDITION'));
}

/** Returns a text that only one file ever has; `undefined` for a missing one. */
async function stampOf(file: string): Promise<string | undefined> {
  const stats = await stat(file, { bigint: true }).catch(ignoreMissing);
  return stats && `${stats.ino} ${stats.ctimeNs}`;
}

async function castVotes(vote: Vote | undefined, content: Uint8Array): Promise<void> {
  try {
    await vote?.('preparing', voteHash(PREPARING));
    await vote?.('prepared', voteHash(content));
  } catch (error) {
    throw wrap(error, 'preimage vote', 'FAILED_PRECONDITION');
  }
}

async function openLock(lock: string, mode: number): Promise<FileHandle> {
  try {
    return await open(lock, 'wx', mode);
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') throw new LockTakenError();
    throw new GitalyError('INTERNAL', 'creating lock file', { cause: error });
  }
}

/** Writes the content to disk, and closes the file in any case. */
async function fill(
  handle: FileHandle,
  newContent: Parameters<typeof replaceLocked>[1],
): Promise<Uint8Array> {
  await using _ = handle;
  const content = typeof newContent === 'function' ? await newContent() : newContent;
  await handle.writeFile(content);
  await handle.sync();
  return content;
}
