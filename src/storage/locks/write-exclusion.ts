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

/** Interval for checking a lock or the marks of changes again. */
const LOOK_MS = 20;
/** Time for which new changes wait for the running ones. Then the new changes may begin. */
const HOLD_MS = 5_000;
/** Pause between two attempts, during which the waiting changes can continue. */
const PAUSE_MS = 1_000;
/** Longest wait for the running changes. */
const MAX_WAIT_MS = 60_000;
/** Longest wait of a change for the one that excludes it: migrations take seconds. */
const MAX_EXCLUDED_MS = 300_000;
/** The usual cause of an exclusion. */
const MIGRATION = 'the references of the repository are being migrated';

/**
 * Begins a change of a repository as {@link beginChange} does, unless {@link excludeChanges}
 * excludes it: then it waits.
 *
 * @param waiting its signal is read only when the change has to wait. `excludedBy` is the text of
 *   the error for an exclusion that is no migration of references.
 * @throws {GitalyError} UNAVAILABLE after five minutes; the reason of the signal.
 */
export async function beginChangeInTurn(
  target: GenerationTarget,
  waiting: { readonly signal: AbortSignal; readonly excludedBy?: string },
): Promise<PendingChange> {
  for (const startedMs = performance.now(); ; ) {
    // This side makes its mark first and then checks the lock. The other side takes the lock first.
    const change = await beginChange(target);
    if (!isLocked(target)) return change;
    await change.end();
    while (isLocked(target) && !(await removeStaleLock(target.storage, lockedPath(target)))) {
      if (performance.now() - startedMs > MAX_EXCLUDED_MS)
        throw new GitalyError('UNAVAILABLE', waiting.excludedBy ?? MIGRATION);
      await pause(LOOK_MS, waiting.signal);
    }
  }
}

/** A time without changes of a repository. Disposing lets changes continue. */
export interface Exclusion extends AsyncDisposable {
  /** The change that excludes all others. It is marked, so that its leftovers can be found. */
  readonly change: PendingChange;
}

/**
 * Excludes all changes of a repository by servers on this storage: waits for the running ones, and
 * makes new ones wait. It finds them by the marks that their processes make for the caches. If a
 * running change takes long, the changes that wait for it go first, and this tries again.
 *
 * @throws {GitalyError} UNAVAILABLE if changes run for a minute, ABORTED if another exclusion
 *   holds; the reason of `signal`.
 */
export async function excludeChanges(target: GenerationTarget, signal: AbortSignal): Promise<Exclusion> {
  for (const startedMs = performance.now(); ; ) {
    const exclusion = await tryExclusion(target, signal);
    if (exclusion !== undefined) return exclusion;
    if (performance.now() - startedMs > MAX_WAIT_MS)
      throw new GitalyError('UNAVAILABLE', 'changes of the repository take long: try again later');
    await pause(PAUSE_MS, signal);
  }
}

/** Returns `undefined`, without a lock, if the running changes do not end soon. */
async function tryExclusion(target: GenerationTarget, signal: AbortSignal): Promise<Exclusion | undefined> {
  await makeDirectories(target.storage, pendingDirectory(target));
  await using taking = new AsyncDisposableStack();
  taking.use(await lockForChanges(target));
  if (!(await waitForChanges(target, signal))) return undefined;
  const change = await beginChange(target);
  taking.defer(() => change.end());
  const held = taking.move();
  return { change, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** @throws {GitalyError} ABORTED if another exclusion has the lock. */
async function lockForChanges(target: GenerationTarget): Promise<AsyncDisposable> {
  try {
    return await lockRepository(target.storage, lockedPath(target));
  } catch (error) {
    if (!(error instanceof LockTakenError)) throw error;
    throw new GitalyError('ABORTED', 'changes of the repository are excluded already', { cause: error });
  }
}

/** Waits for the running changes. @returns whether they ended soon. */
async function waitForChanges(target: GenerationTarget, signal: AbortSignal): Promise<boolean> {
  const startedMs = performance.now();
  while (await isChanging(target)) {
    if (performance.now() - startedMs > HOLD_MS) return false;
    await pause(LOOK_MS, signal);
  }
  return true;
}

/**
 * Reports whether a repository is being changed. The change of a dead process lasts as long as its
 * git.
 */
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

/** Reports whether there is a lock, which is a dangling link. */
function isLocked(target: GenerationTarget): boolean {
  return lstatSync(`${lockedPath(target)}.lock`, { throwIfNoEntry: false }) !== undefined;
}

function lockedPath(target: GenerationTarget): string {
  return `${pendingDirectory(target)}-exclusive`;
}
