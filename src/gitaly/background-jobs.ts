import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type CleaningStep, cleanCaches, retireCache } from '#storage/cache/clean-caches';
import { removeLeftovers } from '#storage/leftovers/remove-leftovers';
import type { LeftoverKind } from '#storage/leftovers/repository-leftovers';
import type { Storages } from '#storage/storages';
import { cleanTempDirectories } from '#storage/temp-directories';

const HOUR_MS = 60 * 60 * 1000;
/** Interval of Gitaly's cache walks. */
const CACHE_WALK_MS = 10 * 60 * 1000;

/** Interval at which repositories are looked at again in which somebody still works. */
const SURVIVORS_MS = 5_000;
/** After so many looks it waits for the next hour. */
const MAX_LOOKS = 12;

/** Notified of what the jobs do, for metrics. */
export interface BackgroundJobsObserver {
  /** A step of a walk through the caches. */
  onStep(step: CleaningStep): void;
  /** Something that a dead process left was removed. */
  onLeftover(kind: LeftoverKind): void;
}

/**
 * Starts the background jobs of a server. They count the repositories (once), and delete the caches
 * of earlier processes, what dead processes left in repositories (at once, and hourly), and expired
 * files in caches (every ten minutes) and temporary directories (at once, and hourly). Failures are
 * logged; periodic jobs run again at the next interval.
 *
 * @returns a handle that ends the jobs and waits for a running one.
 */
export function startBackgroundJobs(
  storages: Storages,
  logger: Logger,
  observer: BackgroundJobsObserver,
): AsyncDisposable {
  const ending = new AbortController();
  const { signal } = ending;
  const running = new Set<Promise<void>>();

  const run = (job: () => Promise<void>, name: string): void => {
    const turn = job()
      .catch((error: unknown) => {
        if (!signal.aborted) logger.error({ error: messageOf(error), job: name }, 'background job failed');
      })
      .finally(() => running.delete(turn));
    running.add(turn);
  };
  const every = (ms: number, job: () => Promise<void>, name: string): NodeJS.Timeout =>
    setInterval(run, ms, job, name).unref();

  const { cleanAfterTheDead, cleanTemp, countRepositories, dropOldCaches, walkCaches } = backgroundJobs(
    { storages, logger, signal },
    observer,
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
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearInterval(timer);
      ending.abort();
      await Promise.all(running);
    },
  };
}

interface JobSurroundings {
  readonly storages: Storages;
  readonly logger: Logger;
  /** Ends the running jobs. */
  readonly signal: AbortSignal;
}

function backgroundJobs(
  { logger, signal, storages }: JobSurroundings,
  { onLeftover, onStep }: BackgroundJobsObserver,
) {
  return {
    async cleanTemp(): Promise<void> {
      for (const storage of storages.all) {
        const startedAt = performance.now();
        await cleanTempDirectories(storage, { signal });
        const time_ms = Math.round(performance.now() - startedAt);
        logger.info({ storage: storage.name, time_ms }, 'finished tempdir cleaner walk');
      }
    },
    async cleanAfterTheDead(): Promise<void> {
      for (const storage of storages.all) {
        for (let look = 1; look <= MAX_LOOKS; look++) {
          const { removed, postponed } = await removeLeftovers(storage, { signal });
          for (const { kind } of removed) onLeftover(kind);
          if (removed.length > 0) {
            const paths = removed.map(({ path }) => path);
            logger.info({ storage: storage.name, removed: paths }, 'removed what dead processes left');
          }
          if (postponed.length === 0) break;
          await delay(SURVIVORS_MS, undefined, { signal, ref: false });
        }
      }
    },
    async walkCaches(): Promise<void> {
      for (const storage of storages.all) await cleanCaches(storage, { signal, onStep });
    },
    async dropOldCaches(): Promise<void> {
      for (const storage of storages.all) await (await retireCache(storage))?.[Symbol.asyncDispose]();
    },
    async countRepositories(): Promise<void> {
      for (const storage of storages.all) {
        const startedAt = performance.now();
        await storages.repositoryCounts.count(storage, { signal });
        const counting_duration_ms = Math.round(performance.now() - startedAt);
        logger.info({ storage_path: storage.path, counting_duration_ms }, 'completed counting repositories');
      }
    },
  };
}
