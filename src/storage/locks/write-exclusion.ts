import { lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { GitalyError } from '#base/gitaly-error';
import { ownerOf } from '#base/process-identity';
import {
  beginChange,
  type GenerationTarget,
  type PendingChange,
  pendingDirectory,
} from '../cache/cache-generations.ts';
import { isWorkedIn } from '../leftovers/working-processes.ts';
import { makeDirectories } from '../lifecycle/make-directories.ts';
import { LockTakenError, lockRepository, removeStaleLock } from './repository-lock.ts';

/** Interval at which a lock or marks of changes are checked again. */
const LOOK_MS = 20;
/** Time for which new changes wait for those under way, before they go first again. */
const HOLD_MS = 5_000;
/** Pause between two attempts, in which the changes that waited can go on. */
const PAUSE_MS = 1_000;
/** Longest wait for the changes under way. */
const MAX_WAIT_MS = 60_000;
/** Longest wait of a change for the one that excludes it: migrations take seconds. */
const MAX_EXCLUDED_MS = 300_000;

/**
 * Begins a change of a repository as {@link beginChange} does, unless {@link excludeChanges}
 * excludes it: then it waits.
 *
 * @param waiting its signal, which is read only when it has to wait.
 * @throws {GitalyError} UNAVAILABLE after five minutes; the reason of the signal.
 */
export async function beginChangeInTurn(
  target: GenerationTarget,
  waiting: { readonly signal: AbortSignal },
): Promise<PendingChange> {
  for (const startedMs = performance.now(); ; ) {
    // First the mark, then the look at the lock. The other side takes the lock first.
    const change = await beginChange(target);
    if (!isLocked(target)) return change;
    await change.end();
    while (isLocked(target) && !(await removeStaleLock(target.storage, lockedPath(target)))) {
      if (performance.now() - startedMs > MAX_EXCLUDED_MS)
        throw new GitalyError('UNAVAILABLE', 'the references of the repository are being migrated');
      await pause(LOOK_MS, waiting.signal);
    }
  }
}

/** A time without changes of a repository. Disposing lets them go on. */
export interface Exclusion extends AsyncDisposable {
  /** The change that excludes all others. It is marked, so that what it leaves can be found. */
  readonly change: PendingChange;
}

/**
 * Excludes all changes of a repository by servers on this storage: waits for those under way, and
 * lets new ones wait. The marks of all changes, which their processes make for the caches, show
 * them. If a change takes long, those that wait for it go first, and it tries again.
 *
 * @throws {GitalyError} UNAVAILABLE if changes are under way for a minute, ABORTED if another
 *   exclusion holds; the reason of `signal`.
 */
export async function excludeChanges(target: GenerationTarget, signal: AbortSignal): Promise<Exclusion> {
  for (const startedMs = performance.now(); ; ) {
    await makeDirectories(target.storage, pendingDirectory(target));
    const lock = await lockRepository(target.storage, lockedPath(target)).catch((error: unknown) => {
      if (!(error instanceof LockTakenError)) throw error;
      throw new GitalyError('ABORTED', 'the references are being migrated already', { cause: error });
    });
    const held = await waitForChanges(target, signal).catch(async (error: unknown) => {
      await lock[Symbol.asyncDispose]();
      throw error;
    });
    if (held) return exclusionOf(lock, await beginChange(target));
    await lock[Symbol.asyncDispose]();
    if (performance.now() - startedMs > MAX_WAIT_MS)
      throw new GitalyError('UNAVAILABLE', 'changes of the repository take long: try again later');
    await pause(PAUSE_MS, signal);
  }
}

function exclusionOf(lock: AsyncDisposable, change: PendingChange): Exclusion {
  return {
    change,
    [Symbol.asyncDispose]: async () => {
      await change.end();
      await lock[Symbol.asyncDispose]();
    },
  };
}

/** Waits for the changes under way. @returns whether they ended soon. */
async function waitForChanges(target: GenerationTarget, signal: AbortSignal): Promise<boolean> {
  const startedMs = performance.now();
  while (await isChanging(target)) {
    if (performance.now() - startedMs > HOLD_MS) return false;
    await pause(LOOK_MS, signal);
  }
  return true;
}

/** A change of a dead process goes on as long as its git. */
async function isChanging(target: GenerationTarget): Promise<boolean> {
  const marks = (await readdir(pendingDirectory(target)).catch(ignoreMissing)) ?? [];
  if (marks.length === 0) return false;
  if (marks.some((mark) => ownerOf(mark) !== 'dead')) return true;
  return await isWorkedIn(`${target.storage.path}/${target.relativePath}`);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    throw signal.reason ?? error;
  });
}

/** The lock is a dangling link. */
function isLocked(target: GenerationTarget): boolean {
  return lstatSync(`${lockedPath(target)}.lock`, { throwIfNoEntry: false }) !== undefined;
}

function lockedPath(target: GenerationTarget): string {
  return `${pendingDirectory(target)}-exclusive`;
}
