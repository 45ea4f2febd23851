import type { MaintenanceTask } from '#domain/housekeeping/plan';
import type { RepositoryTarget } from '#storage/repository-target';
import { decideStart, type HostLoad, type WaitReason } from './decide-start.ts';

/** Time between two checks, for conditions that may change before the decided time. */
const CHECK_MS = 200;

/** Running calls and the load of the host at one moment. */
export interface LoadMoment {
  readonly host: HostLoad;
  /** The repositories of the running calls, one entry for each call. */
  readonly targets: readonly RepositoryTarget[];
}

/** Measures the load. It is only used while a repository waits. */
export interface LoadSensor {
  /** Resumes the measurement, which ends when the handle is disposed. */
  start(): Disposable;
  read(): Promise<LoadMoment>;
}

/** Cause of the maintenance of a repository. */
export interface WaitReport {
  readonly waitedMs: number;
  readonly reason: 'quiet' | 'overdue';
  /** Why it waited at the last check before. */
  readonly waitedFor: WaitReason | undefined;
}

/** A repository whose maintenance is due. */
export interface DueMaintenance {
  readonly target: RepositoryTarget;
  /** May be empty, for a repository that is only checked. */
  readonly tasks: ReadonlySet<MaintenanceTask>;
  /** @returns false if it cannot run now; then it waits on. */
  readonly run: (tasks: ReadonlySet<MaintenanceTask>, report: WaitReport) => boolean;
}

interface Waiting extends Omit<DueMaintenance, 'run'> {
  readonly tasks: Set<MaintenanceTask>;
  run: DueMaintenance['run'];
  readonly dueSinceMs: number;
  lastBusyMs: number;
  debt: number;
  waitedFor: WaitReason | undefined;
}

export interface QuietWaitOptions {
  readonly sensor: LoadSensor;
  /** More repositories are not accepted. */
  readonly maxWaiting: number;
  /** Receives the first of several failed measurements in a row; they are repeated. */
  readonly onProblem: (error: unknown) => void;
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number;
}

/** Keeps repositories whose maintenance is due until they and the host are quiet. */
export class QuietWait implements Disposable {
  readonly #options: QuietWaitOptions;
  readonly #now: () => number;
  readonly #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #measurement: Disposable | undefined;
  #isDisposed = false;
  #hasFailed = false;

  constructor(options: QuietWaitOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Number of repositories that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Adds a repository, or tasks to one that waits. @returns false if too many wait. */
  add(due: DueMaintenance): boolean {
    const key = targetKey(due.target);
    const known = this.#waiting.get(key);
    if (known !== undefined) {
      // A run for the first tasks replaces a run for a check, because its cause is known.
      if (known.tasks.size === 0 && due.tasks.size > 0) known.run = due.run;
      for (const task of due.tasks) known.tasks.add(task);
      return true;
    }
    if (this.#isDisposed || this.#waiting.size >= this.#options.maxWaiting) return false;
    const nowMs = this.#now();
    const waiting = { ...due, tasks: new Set(due.tasks), dueSinceMs: nowMs, lastBusyMs: nowMs };
    this.#waiting.set(key, { ...waiting, debt: 0, waitedFor: undefined });
    this.#measurement ??= this.#options.sensor.start();
    this.#timer ??= this.#nextCheck();
    return true;
  }

  /** Notes a write, which moves the quiet moment and adds to the debt. */
  written(target: RepositoryTarget): void {
    const waiting = this.#waiting.get(targetKey(target));
    if (waiting === undefined) return;
    waiting.lastBusyMs = this.#now();
    waiting.debt++;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#waiting.clear();
    this.#stop();
  }

  #nextCheck(): NodeJS.Timeout {
    return setTimeout(() => void this.#check(), CHECK_MS).unref();
  }

  async #check(): Promise<void> {
    try {
      const load = await this.#options.sensor.read();
      if (this.#isDisposed) return;
      const calls = countBy(load.targets);
      for (const [key, waiting] of this.#waiting)
        if (this.#starts(waiting, calls.get(key) ?? 0, load.host)) this.#waiting.delete(key);
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) this.#options.onProblem(error);
      this.#hasFailed = true;
    }
    if (this.#isDisposed) return;
    if (this.#waiting.size === 0) this.#stop();
    else this.#timer = this.#nextCheck();
  }

  #starts(waiting: Waiting, calls: number, host: HostLoad): boolean {
    const nowMs = this.#now();
    if (calls > 0) waiting.lastBusyMs = nowMs;
    const { dueSinceMs, lastBusyMs, debt, tasks, waitedFor } = waiting;
    const decision = decideStart({ nowMs, dueSinceMs, lastBusyMs, calls, debt, host });
    if (decision.kind === 'run')
      return waiting.run(tasks, { waitedMs: nowMs - dueSinceMs, reason: decision.reason, waitedFor });
    waiting.waitedFor = decision.reason;
    return false;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#measurement?.[Symbol.dispose]();
    this.#measurement = undefined;
  }
}

/** Returns the number of calls by {@link targetKey} of their repository. */
function countBy(targets: readonly RepositoryTarget[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of targets.map(targetKey)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** Returns the key of a repository in maps and queues. */
export function targetKey({ storageName, relativePath }: RepositoryTarget): string {
  return `${storageName}\0${relativePath}`;
}
