import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { loadCLibrary } from '#base/c-library';
import { ignoreMissing } from '#base/files/ignore-missing';
import { systemErrorCode } from '#base/go/system-error';
import { TEMPORARY_PREFIX } from '../object-key.ts';

/** Without the kernel's locks: a lock is held for few system calls; an older one is left behind. */
const STALE_LOCK_MS = 30_000;
const LOCK_RETRY_MS = 10;
/** Of flock(2): exclusive, without waiting. */
const LOCK_EX_NB = 2 | 4;

/** Prefix of lock files. One that is old may be locked: a lock does not change its time. */
export const LOCK_PREFIX = `${TEMPORARY_PREFIX}lock-`;

type Flock = (descriptor: number, operation: number) => number;

let flock: Flock | undefined | null = null;

/**
 * Returns flock(2), whose locks end with their process and cannot be broken; `undefined` without
 * the optional package koffi.
 */
export function kernelLock(): Flock | undefined {
  if (flock !== null) return flock;
  try {
    flock = loadCLibrary().find<Flock>('int flock(int descriptor, int operation)');
  } catch {
    flock = undefined; // a lock file that can be broken is used
  }
  return flock;
}

/** Returns the path of the lock file of an object, which other programs must not list. */
export function lockFileOf(target: string): string {
  const name = createHash('sha256').update(path.posix.basename(target)).digest('hex').slice(0, 32);
  return `${path.posix.dirname(target)}/${LOCK_PREFIX}${name}`;
}

/** Takes the lock of an object, when no other process has it. */
export async function lockObject(target: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const file = lockFileOf(target);
  const lock = kernelLock();
  for (;;) {
    const held = await (lock === undefined ? createLock(file) : tryLock(file, lock));
    if (held !== undefined) return held;
    await setTimeout(LOCK_RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Locks a file, unless another process has the lock, or has just removed the file with it. */
async function tryLock(file: string, lock: Flock): Promise<AsyncDisposable | undefined> {
  await using stack = new AsyncDisposableStack();
  const handle: FileHandle = stack.use(await open(file, constants.O_RDWR | constants.O_CREAT));
  if (lock(handle.fd, LOCK_EX_NB) !== 0) return undefined;
  const [locked, named] = [await handle.stat(), await stat(file).catch(ignoreMissing)];
  if (locked.ino !== named?.ino) return undefined;
  const held = stack.move();
  held.defer(() => rm(file, { force: true })); // before the lock ends
  return held;
}

async function createLock(file: string): Promise<AsyncDisposable | undefined> {
  try {
    await (await open(file, 'wx')).close();
    return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
  await removeStale(file);
  return undefined;
}

/** Renames a stale lock before it is removed, so that two processes do not remove two locks. */
async function removeStale(lock: string): Promise<void> {
  const stats = await stat(lock).catch(ignoreMissing);
  if (stats === undefined || Date.now() - stats.mtimeMs < STALE_LOCK_MS) return;
  const removed = `${lock}-${randomBytes(8).toString('hex')}`;
  await rename(lock, removed).catch(ignoreMissing);
  await rm(removed, { force: true });
}
