import { availableParallelism } from 'node:os';
import { anything, number, object, oneOf, parseAs, record, type Shaped } from '#base/shape';

/** When workers start, end and get connections. Times are milliseconds. */
const allSettings = object({
  /** Workers that are started at once. For tests. */
  start: number,
  /** How a process is chosen for a connection. The others are for tests: any one, or any worker. */
  choice: oneOf('least', 'random', 'worker'),
  /**
   * Which connections are ended so that they come to another process: those of a busy process while
   * another rests, or, for tests, at each tick that of any process, even if it has only one.
   */
  moves: oneOf('busy', 'random'),
  /** Interval of the reports of workers, and of decisions. */
  tickMs: number,
  /** Utilisation of an event loop from which on a process counts as busy. */
  busyShare: number,
  /** Time for which every process must be busy before another one starts. */
  busyMs: number,
  /** Time for which a worker must have had nothing to do before it ends. */
  idleMs: number,
  /** Shortest time between two connections that a busy process gives up. */
  moveMs: number,
  /** Time without a report after which a worker counts as hung, and is replaced. */
  hungMs: number,
  /** Time without a report after which a worker that starts counts as hung. */
  startMs: number,
  /** Delay before the next start after a worker that failed; doubles up to `maxBackOffMs`. */
  backOffMs: number,
  maxBackOffMs: number,
});
export type WorkerSettings = Shaped<typeof allSettings>;

/** Utilisation of an event loop up to which a process is idle enough for connections of busy ones. */
export const REST_SHARE = 0.35;
/**
 * Utilisation of an event loop up to which a process without calls has nothing to do: its own
 * timers take 1 % of a core, and 5 % of one on which each wake-up is slow.
 */
export const IDLE_SHARE = 0.1;

export const DEFAULT_SETTINGS: WorkerSettings = {
  start: 0,
  choice: 'least',
  moves: 'busy',
  tickMs: 1000,
  busyShare: 0.7,
  busyMs: 3000,
  idleMs: 300_000,
  moveMs: 2000,
  hungMs: 30_000,
  startMs: 120_000,
  backOffMs: 1000,
  maxBackOffMs: 60_000,
};

/** Variable with settings as JSON, for tests. */
const VARIABLE = 'GITALY_TESTING_WORKERS';

/** Returns the settings, with those of the environment. */
export function workerSettings(): WorkerSettings {
  const given = parseAs(record(anything), process.env[VARIABLE] ?? '{}');
  const merged = { ...DEFAULT_SETTINGS, ...given };
  return allSettings(merged) ? merged : DEFAULT_SETTINGS;
}

/**
 * Returns the most processes that may serve calls.
 *
 * @param configured `[workers] max`; `auto` for half of the processors of the control group.
 */
export function maxProcesses(configured: number | 'auto'): number {
  return configured === 'auto' ? Math.max(1, Math.floor(availableParallelism() / 2)) : configured;
}
