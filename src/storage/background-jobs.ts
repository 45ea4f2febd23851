import { setTimeout as delay } from 'node:timers/promises';
import { type CleaningStep, cleanCaches, retireCache } from './cache/clean-caches.ts';
import { endSurvivors } from './leftovers/end-survivors.ts';
import { removeLeftovers } from './leftovers/remove-leftovers.ts';
import type { LeftoverKind } from './leftovers/repository-leftovers.ts';
import { putBackReplaced } from './lifecycle/replaced-repository.ts';
import type { Storage } from './repository-target.ts';
import type { Storages } from './storages.ts';
import { cleanTempDirectories } from './temp-directories.ts';

const HOUR_MS = 60 * 60 * 1000;
/** Interval of Gitaly's cache walks. */
const CACHE_WALK_MS = 10 * 60 * 1000;

/** Interval for checking again those repositories in which a process still works. */
const SURVIVORS_MS = 5_000;
/** Number of these checks, after which the job waits for the next hour. */
const MAX_CHECKS = 12;

/** Notified of what the jobs do, for metrics and the log. */
export interface BackgroundJobsObserver {
  /** A step of a walk through the caches. */
  onStep(step: CleaningStep): void;
  /** Called when something that a dead process left was removed. */
  onLeftover(kind: LeftoverKind): void;
  /** Called with the paths that dead processes left in a storage, after their removal. */
  onRemoved(storage: Storage, paths: readonly string[]): void;
  onTempCleaned(storage: Storage, durationMs: number): void;
  onCounted(storage: Storage, durationMs: number): void;
  /** Called when a job failed. It runs again at its next interval. */
  onFailed(job: string, error: unknown): void;
}

/** The background jobs of a server. Disposing ends them and waits for a running one. */
export interface BackgroundJobs extends AsyncDisposable {
  /**
   * Stops the git processes that an ended process of this server has left, and removes their files.
   */
  cleanAfter(pid: number): Promise<void>;
  /** Removes the files that killed processes of git have left. */
  cleanAfterKilled(): void;
}

/**
 * Starts the background jobs of a server. They count the repositories (once), and delete the caches
 * of earlier processes, files of crashed processes in repositories (at once, and hourly), and
 * expired files in caches (every ten minutes) and temporary directories (at once, and hourly).
 */
export function startBackgroundJobs(storages: Storages, observer: BackgroundJobsObserver): BackgroundJobs {
  const ending = new AbortController();
  const { signal } = ending;
  const running = new Set<Promise<void>>();

  const run = (job: Job, name: string, before: Promise<void> = Promise.resolve()): Promise<void> => {
    const onFailed = (error: unknown): void => {
      if (!signal.aborted) observer.onFailed(name, error);
    };
    const all = async (): Promise<void> => {
      await before.catch(onFailed);
      // One whose disk has failed does not keep the others from their jobs.
      for (const storage of storages.all) await job(storage, onFailed).catch(onFailed);
    };
    const turn = all().finally(() => running.delete(turn));
    running.add(turn);
    return turn;
  };
  const every = (ms: number, job: Job, name: string): NodeJS.Timeout =>
    setInterval(run, ms, job, name).unref();

  const { cleanAfterTheDead, cleanTemp, countRepositories, dropOldCaches, walkCaches } = backgroundJobs(
    storages,
    observer,
    signal,
  );
  run(countRepositories, 'count repositories');
  run(dropOldCaches, 'retire caches');
  run(cleanTemp, 'clean temporary directories');
  run(cleanAfterTheDead, 'clean after dead processes');
  const timers = [
    every(HOUR_MS, cleanTemp, 'clean temporary directories'),
    every(HOUR_MS, cleanAfterTheDead, 'clean after dead processes'),
    every(CACHE_WALK_MS, walkCaches, 'clean caches'),
  ];

  return {
    cleanAfter: (pid) => run(cleanAfterTheDead, 'clean after dead processes', endSurvivors(pid, { signal })),
    cleanAfterKilled: () => void run(cleanAfterTheDead, 'clean after dead processes'),
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearInterval(timer);
      ending.abort();
      await Promise.all(running);
    },
  };
}

/** A job for one storage. It throws, or calls `onFailed` for a part that failed. */
type Job = (storage: Storage, onFailed: (error: unknown) => void) => Promise<void>;

/** Returns the jobs. `signal` stops running ones. */
function backgroundJobs(storages: Storages, observer: BackgroundJobsObserver, signal: AbortSignal) {
  const onStep = (step: CleaningStep): void => observer.onStep(step);
  return {
    async cleanTemp(storage, onFailed) {
      const startedAt = performance.now();
      const keep = await putBackReplaced(storages, storage, onFailed);
      await cleanTempDirectories(storage, { keep, signal });
      observer.onTempCleaned(storage, performance.now() - startedAt);
    },
    async cleanAfterTheDead(storage, onFailed) {
      let failures: readonly unknown[] = [];
      for (let check = 1; check <= MAX_CHECKS; check++) {
        const found = await removeLeftovers(storage, { signal });
        const { postponed, removed } = found;
        failures = found.failures;
        for (const { kind } of removed) observer.onLeftover(kind);
        if (removed.length > 0)
          observer.onRemoved(
            storage,
            removed.map(({ path }) => path),
          );
        if (postponed.length === 0) break;
        await delay(SURVIVORS_MS, undefined, { signal, ref: false });
      }
      for (const failure of failures) onFailed(failure);
    },
    async walkCaches(storage) {
      await cleanCaches(storage, { signal, onStep });
    },
    async dropOldCaches(storage) {
      await (await retireCache(storage))?.[Symbol.asyncDispose]();
    },
    async countRepositories(storage) {
      const startedAt = performance.now();
      await storages.repositoryCounts.count(storage, { signal });
      observer.onCounted(storage, performance.now() - startedAt);
    },
  } as const satisfies Record<string, Job>;
}
