import { setTimeout as delay } from 'node:timers/promises';
import { timeLeftMs } from '#base/async/time-left';
import { timerMs } from '#base/async/timer-ms';
import { shuffled } from '#base/shuffled';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { walkRepositories } from '#storage/walk-repositories';
import type { Housekeeping } from '../housekeeping.ts';
import { type DailyWindow, nextStart } from './daily-window.ts';

/** Minimum time between two repositories, so that calls are not disturbed. */
const PAUSE_MS = 1000;
/** Longest sleep, after which the clock is read again: it may have been set. */
const MAX_SLEEP_MS = 60 * 60 * 1000;

/** Notified of daily maintenance, for the log. */
export interface DailyObserver {
  /** The next run has a time. */
  scheduled(start: Date): void;
  started(): void;
  /** A repository was maintained, with an error if that failed. */
  optimized(repository: Repository, run: { readonly startedAt: Date; readonly error?: unknown }): void;
  /** With an error: a storage could not be read, and the rest of the run is skipped. */
  completed(run: {
    readonly repositories?: number;
    readonly startedAt: Date;
    readonly error?: unknown;
  }): void;
}

export interface DailyMaintenanceOptions {
  readonly storages: Storages;
  readonly housekeeping: Housekeeping;
  readonly window: DailyWindow;
  /** Storages whose repositories are maintained. */
  readonly names: readonly string[];
  readonly observer: DailyObserver;
}

/** Starts daily maintenance. @returns a handle that stops it and waits for a running one. */
export function startDailyMaintenance(options: DailyMaintenanceOptions): AsyncDisposable {
  const ending = new AbortController();
  const running = runDaily(options, ending.signal);
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}

async function runDaily(options: DailyMaintenanceOptions, ending: AbortSignal): Promise<void> {
  while (!ending.aborted) {
    const start = nextStart(options.window, new Date());
    options.observer.scheduled(start);
    if (!(await sleepUntil(start, ending))) return;
    options.observer.started();
    const startedAt = new Date();
    const signal = AbortSignal.any([ending, AbortSignal.timeout(timerMs(options.window.durationMs))]);
    try {
      options.observer.completed({ repositories: await maintainAll(options, signal), startedAt });
    } catch (error) {
      options.observer.completed({ startedAt, error });
    }
  }
}

/** @returns false when aborted. */
async function sleepUntil(time: Date, signal: AbortSignal): Promise<boolean> {
  const leftMs = (): number => timeLeftMs(time.getTime(), Date.now());
  for (let ms = leftMs(); ms > 0; ms = leftMs())
    if (!(await sleep(Math.min(ms, MAX_SLEEP_MS), signal))) return false;
  return !signal.aborted;
}

/**
 * Maintains as many repositories as the time allows, in random order, so that over the days each
 * gets its turn.
 *
 * @returns their number.
 */
export async function maintainAll(
  options: Pick<DailyMaintenanceOptions, 'storages' | 'housekeeping' | 'names' | 'observer'>,
  signal: AbortSignal,
  { pauseMs = PAUSE_MS }: { readonly pauseMs?: number } = {},
): Promise<number> {
  let count = 0;
  for (const name of shuffled(options.names)) {
    for await (const repository of repositoriesOf(options, options.storages.storage(name), signal)) {
      const startedAt = new Date();
      const optimized = (error?: unknown): void => {
        if (!signal.aborted) options.observer.optimized(repository, { startedAt, error });
      };
      await options.housekeeping.optimize(repository, { signal }).then(() => optimized(), optimized);
      if (signal.aborted) return count;
      count++;
      if (!(await sleep(pauseMs, signal))) return count;
    }
  }
  return count;
}

async function* repositoriesOf(
  { storages }: Pick<DailyMaintenanceOptions, 'storages'>,
  storage: Storage,
  signal: AbortSignal,
): AsyncGenerator<Repository> {
  try {
    const repositories = walkRepositories(storage, { signal, order: 'random', skipUnreadable: true });
    for await (const { relativePath, path } of repositories)
      yield storages.repositoryAt({ storage, relativePath, path });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  return await delay(ms, true, { signal, ref: false }).catch(() => false);
}
