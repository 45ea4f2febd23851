import { AsyncLocalStorage } from 'node:async_hooks';
import { readdir } from 'node:fs/promises';
import { attempt } from '#base/attempt';
import { systemErrorCode } from '#base/go/system-error';
import { BoundedMap } from '#base/memory/bounded-map';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { planAsNeeded } from '../decisions/plan-maintenance.ts';
import type { Housekeeping } from '../housekeeping.ts';
import { type MaintenanceTask, restrictPlan } from '../plan.ts';
import { BackgroundQueue } from './background-queue.ts';
import { reasonToGiveWay } from './quiet/decide-start.ts';
import { type LoadSensor, QuietWait, targetKey, type WaitReport } from './quiet/quiet-wait.ts';
import { allTasks, ENOUGH_ENTRIES, tasksForEntries, WriteCounts } from './write-counts.ts';

/** Number of simultaneous runs; calls need the machine as well. */
const MAX_RUNNING = 2;
/** A repository that finds no place is tried again after its next write. */
const MAX_WAITING = 1000;
/** Repositories that wait to be counted, so that there is a place for those with a known debt. */
const MAX_COUNTS_WAITING = 800;
/** Number of repositories whose size is known; others are checked again. */
const MAX_SEEN = 10_000;

/** Directories, the repository's own included, and files; counting stops at many. */
export interface EntryCounts {
  readonly directories: number;
  readonly files: number;
}

export interface BackgroundMaintenanceOptions {
  readonly storages: Storages;
  readonly housekeeping: Housekeeping;
  readonly sensor: LoadSensor;
  /** Reports the size of a repository that is read for the first time. */
  readonly onCounted: (repository: Repository, entries: EntryCounts) => void;
  readonly onBegin: (repository: Repository, tasks: ReadonlySet<MaintenanceTask>, report: WaitReport) => void;
  /** Called when a run leaves the rest of its tasks for another quiet moment. */
  readonly onGiveWay: (repository: Repository) => void;
  /** Called when the load cannot be measured. Maintenance that is due waits on. */
  readonly onProblem: (error: unknown) => void;
  /** `error` is `undefined` after a success. */
  readonly onEnd: (repository: Repository, error: unknown) => void;
}

interface DueRun {
  readonly tasks: ReadonlySet<MaintenanceTask>;
  readonly report: WaitReport;
  readonly signal: AbortSignal;
}

/** Maintenance that starts by itself, at a quiet moment: after writes, and at the first read of a large repository. */
export class BackgroundMaintenance implements AsyncDisposable {
  readonly #options: BackgroundMaintenanceOptions;
  readonly #counts = new WriteCounts();
  readonly #seen = new BoundedMap<string, true>({ maxEntries: MAX_SEEN, order: 'insertion' });
  readonly #queue = new BackgroundQueue({ maxRunning: MAX_RUNNING, maxWaiting: MAX_WAITING });
  readonly #wait: QuietWait;
  /** Runs a function outside of calls. */
  readonly #detached = AsyncLocalStorage.snapshot();

  constructor(options: BackgroundMaintenanceOptions) {
    this.#options = options;
    this.#wait = new QuietWait({
      sensor: options.sensor,
      maxWaiting: MAX_WAITING,
      onProblem: options.onProblem,
    });
  }

  /**
   * Counts a change of a repository. Tasks that are due start at a quiet moment; no call waits.
   *
   * @param force starts everything, after a change of the whole history.
   */
  afterWrite(target: RepositoryTarget, { force = false }: { readonly force?: boolean } = {}): void {
    const key = targetKey(target);
    this.#wait.written(target);
    const due = this.#counts.countWrite(key);
    const tasks = force ? allTasks() : due;
    if (tasks.size === 0) return;
    if (this.#addDue(target, tasks)) this.#counts.started(key, tasks);
  }

  /** Counts a repository that is read for the first time, at a quiet moment; no call waits. */
  onRead(target: RepositoryTarget): void {
    const key = targetKey(target);
    if (this.#seen.get(key) === true || this.#wait.size >= MAX_COUNTS_WAITING) return;
    if (this.#addDue(target, new Set())) this.#seen.set(key, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wait[Symbol.dispose]();
    await this.#queue[Symbol.asyncDispose]();
  }

  /** Queues a repository for its tasks, or for counting if it has none. */
  #addDue(target: RepositoryTarget, tasks: ReadonlySet<MaintenanceTask>): boolean {
    const key = targetKey(target);
    const run = (all: ReadonlySet<MaintenanceTask>, report: WaitReport): boolean => {
      if (all.size === 0) return this.#add(target, key, (signal) => this.#count(target, signal));
      return (
        this.#queue.startsAtOnce &&
        this.#add(target, key, (signal) => this.#maintain(target, { tasks: all, report, signal }))
      );
    };
    if (tasks.size > 0) {
      // The log lines of the run name the call that caused it.
      return this.#wait.add({ target, tasks, run: AsyncLocalStorage.bind(run) });
    }
    // Hundreds can wait to be counted: their calls, which have ended, take 30 KB each.
    return this.#wait.add({ target, tasks, run: (...args) => this.#detached(run, ...args) });
  }

  #add(target: RepositoryTarget, key: string, run: (signal: AbortSignal) => Promise<void>): boolean {
    const onError = (error: unknown): void => {
      const repository = this.#open(target);
      if (repository !== undefined) this.#options.onEnd(repository, error);
    };
    return this.#queue.add({ key, run, onError });
  }

  async #count(target: RepositoryTarget, signal: AbortSignal): Promise<void> {
    const repository = this.#open(target);
    if (repository === undefined) return;
    const entries = await countEntries(repository.path, signal);
    this.#options.onCounted(repository, entries);
    const tasks = tasksForEntries(entries.directories + entries.files);
    if (tasks.size > 0) this.#addDue(target, tasks);
  }

  async #maintain(target: RepositoryTarget, { tasks, report, signal }: DueRun): Promise<void> {
    const { housekeeping, onBegin, onEnd, onGiveWay } = this.#options;
    const repository = this.#open(target);
    if (repository === undefined || (await housekeeping.runs.isRunning(repository))) return;
    onBegin(repository, tasks, report);
    let gaveWay = false;
    // An overdue run does everything, so that the debt does not grow for ever.
    const isQuiet = async (): Promise<boolean> => {
      gaveWay = await this.#isBusy(target);
      return !gaveWay;
    };
    await housekeeping.optimize(repository, {
      plan: (state, nowMs) => restrictPlan(planAsNeeded(state, nowMs), tasks),
      mayGoOn: report.reason === 'quiet' ? isQuiet : undefined,
      signal,
    });
    if (gaveWay && this.#addDue(target, tasks)) onGiveWay(repository);
    onEnd(repository, undefined);
  }

  /** Reports whether calls have started since the quiet moment. */
  async #isBusy(target: RepositoryTarget): Promise<boolean> {
    const { host, targets } = await this.#options.sensor.read();
    const key = targetKey(target);
    const calls = targets.filter((other) => targetKey(other) === key).length;
    return reasonToGiveWay(calls, host) !== undefined;
  }

  /** A repository that was removed in the meantime needs no maintenance. */
  #open({ storageName, relativePath }: RepositoryTarget): Repository | undefined {
    // On failure: the call itself reported the reason
    return attempt(() => this.#options.storages.open({ storageName, relativePath }));
  }
}

/** Counts files and directories, up to a number that is enough for every task. */
async function countEntries(root: string, signal: AbortSignal): Promise<EntryCounts> {
  let directories = 1;
  let files = 0;
  const pending = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    signal.throwIfAborted();
    const entries = (await readdir(directory, { withFileTypes: true }).catch(ifUnreadable)) ?? [];
    for (const entry of entries) {
      if (entry.isDirectory()) pending.push(`${directory}/${entry.name}`);
      if (entry.isDirectory()) directories++;
      else files++;
    }
    if (directories + files >= ENOUGH_ENTRIES) break;
  }
  return { directories, files };
}

function ifUnreadable(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemErrorCode(error) ?? '')) return undefined;
  throw error;
}
