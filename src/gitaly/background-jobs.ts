import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { cleanCaches, retireCache } from '#storage/clean-caches';
import type { Storages } from '#storage/storages';
import { cleanTempDirectories } from '#storage/temp-directories';

const HOUR_MS = 60 * 60 * 1000;
/** Gitaly walks its caches at this pace. */
const CACHE_WALK_MS = 10 * 60 * 1000;

/**
 * Starts what a server does on its own: throwing earlier processes' caches away, and removing what is past its age in caches (every
 * ten minutes) and temporary directories (at once, and hourly). Failures are logged and tried again at the next turn.
 *
 * @returns ends the jobs and waits for the one that runs.
 */
export function startBackgroundJobs(storages: Storages, logger: Logger): AsyncDisposable {
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
  const every = (ms: number, job: () => Promise<void>, name: string): NodeJS.Timeout => setInterval(run, ms, job, name).unref();

  const cleanTemp = async (): Promise<void> => {
    for (const storage of storages.all) {
      const startedAt = performance.now();
      await cleanTempDirectories(storage, { signal });
      const time_ms = Math.round(performance.now() - startedAt);
      logger.info({ storage: storage.name, time_ms }, 'finished tempdir cleaner walk');
    }
  };
  const walkCaches = async (): Promise<void> => {
    for (const storage of storages.all) await cleanCaches(storage, { signal });
  };
  const dropOldCaches = async (): Promise<void> => {
    for (const storage of storages.all) await (await retireCache(storage))?.[Symbol.asyncDispose]();
  };

  run(dropOldCaches, 'retire caches');
  run(cleanTemp, 'clean temporary directories');
  const timers = [every(HOUR_MS, cleanTemp, 'clean temporary directories'), every(CACHE_WALK_MS, walkCaches, 'clean caches')];

  return {
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearInterval(timer);
      ending.abort();
      await Promise.all(running);
    },
  };
}
