import { createHash, randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { systemErrorCode } from '#base/go/system-error';
import { TEMPORARY_PREFIX } from '../object-key.ts';
import type { PutOptions } from '../object-store.ts';
import { PreconditionError } from '../store-error.ts';

/** A lock is held for two system calls; one that is older is left from a process that was killed. */
const STALE_LOCK_MS = 30_000;
const LOCK_RETRY_MS = 10;

export interface Publication {
  readonly key: string;
  /** A complete file in the same directory. */
  readonly temporary: string;
  readonly target: string;
}

/**
 * Makes a complete file visible under the name of its object.
 *
 * A condition on the version holds against other conditional writers, in other processes too. A
 * writer without a condition, or with `absent`, does not wait for them.
 *
 * @throws {PreconditionError} if `onlyIf` does not hold.
 */
export async function publish(publication: Publication, { onlyIf, signal }: PutOptions): Promise<void> {
  const { key, temporary, target } = publication;
  signal.throwIfAborted();
  if (onlyIf === undefined) return await rename(temporary, target);
  if (onlyIf === 'absent') return await linkNew(publication);
  await using _lock = await lockObject(target, signal);
  const stats = await stat(target, { bigint: true }).catch(ignoreMissing);
  if (stats === undefined || versionOf(stats) !== onlyIf.version) throw new PreconditionError(key);
  await rename(temporary, target);
}

/** Returns the version of a file: it differs after the file was replaced. */
export function versionOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}-${size}-${mtimeNs}`;
}

/** Returns the path of the lock file of an object, which other programs must not list. */
export function lockFileOf(target: string): string {
  const name = createHash('sha256').update(path.posix.basename(target)).digest('hex').slice(0, 32);
  return `${path.posix.dirname(target)}/${TEMPORARY_PREFIX}lock-${name}`;
}

async function linkNew({ key, temporary, target }: Publication): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    throw systemErrorCode(error) === 'EEXIST' ? new PreconditionError(key, { cause: error }) : error;
  }
}

/** Creates the lock file of an object, when no other process has it. */
async function lockObject(target: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const lock = lockFileOf(target);
  for (;;) {
    try {
      await (await open(lock, 'wx')).close();
      return { [Symbol.asyncDispose]: () => rm(lock, { force: true }) };
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
    await removeStale(lock);
    await setTimeout(LOCK_RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Renames a stale lock before it is removed, so that two processes do not remove two locks. */
async function removeStale(lock: string): Promise<void> {
  const stats = await stat(lock).catch(ignoreMissing);
  if (stats === undefined || Date.now() - stats.mtimeMs < STALE_LOCK_MS) return;
  const removed = `${lock}-${randomBytes(8).toString('hex')}`;
  await rename(lock, removed).catch(ignoreMissing);
  await rm(removed, { force: true });
}
