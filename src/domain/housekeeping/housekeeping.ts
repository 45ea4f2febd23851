import { GitalyError, wrapped } from '#base/gitaly-error';
import type { Vote } from '#storage/lifecycle/voter';
import { beginChangeInTurn } from '#storage/locks/write-exclusion';
import type { Repository } from '#storage/repository';
import { cleanWorktrees } from '../worktrees/clean-worktrees.ts';
import { packReferences } from './commands/pack-references.ts';
import { pruneObjects } from './commands/prune.ts';
import { repack } from './commands/repack.ts';
import { removeCommitGraph, writeCommitGraph } from './commands/write-commit-graph.ts';
import { planAsNeeded } from './decisions/plan-maintenance.ts';
import type { MaintenanceRun, RecordedRuns } from './maintenance-runs.ts';
import { type HousekeepingObserver, NO_OBSERVER } from './observer.ts';
import { isEmptyPlan, type MaintenancePlan } from './plan.ts';
import { measureRepository, type RepositoryState } from './repository-state.ts';
import { RunRecord } from './run-record.ts';
import { cleanStaleData } from './stale-data/clean-stale-data.ts';

export interface OptimizeOptions {
  /** Default: what the repository needs. @param nowMs milliseconds since 1970. */
  readonly plan?: (state: RepositoryState, nowMs: number) => MaintenancePlan;
  readonly vote?: Vote | undefined;
  /** Called before each further step; if it resolves to false, the rest is left for another run. */
  readonly mayGoOn?: (() => Promise<boolean>) | undefined;
  readonly signal: AbortSignal;
}

interface RunPlanOptions {
  readonly record: RunRecord;
  /** Called before each step except the first; the run ends if it resolves to false. */
  readonly mayGoOn?: (() => Promise<boolean>) | undefined;
  readonly signal: AbortSignal;
}

/** Maintenance of the repositories of one server. */
export class Housekeeping {
  readonly runs: RecordedRuns;
  readonly #observer: HousekeepingObserver;

  constructor(runs: RecordedRuns, observer: HousekeepingObserver = NO_OBSERVER) {
    this.runs = runs;
    this.#observer = observer;
  }

  /**
   * Measures a repository, removes stale data and does the maintenance that it needs. A repository
   * that needs none is only read.
   *
   * @returns false when another run is active, without doing anything.
   * @throws {GitalyError} `could not execute housekeeping: …`, `could not clean up worktrees: …`,
   *   ABORTED when another operation takes the repository over, and as {@link runPlan}.
   */
  async optimize(repository: Repository, options: OptimizeOptions): Promise<boolean> {
    using run = await this.runs.tryStart(repository, options.signal);
    if (run === undefined) return false;
    return await unlessTakenOver(run, options.signal, (signal) =>
      this.#optimize(repository, { ...options, signal }),
    );
  }

  async #optimize(repository: Repository, options: OptimizeOptions): Promise<true> {
    const { signal } = options;
    const state = await measureRepository(repository).catch(wrapped('deriving repository info'));
    this.#observer.onMeasured(repository, state);
    const plan = (options.plan ?? planAsNeeded)(state, Date.now());

    const record = new RunRecord();
    let status: 'success' | 'failure' = 'failure';
    try {
      await this.#clean(repository, { ...options, record });
      await whileMarked(repository, { isUnchanged: isEmptyPlan(plan), signal }, () =>
        runPlan(repository, plan, { record, mayGoOn: options.mayGoOn, signal }),
      );
      status = 'success';
    } finally {
      this.#observer.onOptimized(repository, record.report(status));
    }
    return true;
  }

  /**
   * Runs another kind of maintenance, alone in the repository.
   *
   * @throws {GitalyError} ALREADY_EXISTS `housekeeping already executing for repository`; ABORTED
   *   when another operation takes the repository over.
   */
  async exclusively<T>(
    repository: Repository,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    using run = await this.runs.tryStart(repository, signal);
    if (run === undefined)
      throw new GitalyError('ALREADY_EXISTS', 'housekeeping already executing for repository');
    return await unlessTakenOver(run, signal, (running) =>
      whileMarked(repository, { isUnchanged: false, signal: running }, () => work(running)),
    );
  }

  /** Removes stale data, as part of another operation. */
  async cleanStaleData(
    repository: Repository,
    { vote, signal }: Pick<OptimizeOptions, 'vote' | 'signal'>,
  ): Promise<void> {
    await cleanStaleData(repository, {
      vote,
      signal,
      onRemoved: (counts) => this.#observer.onStaleDataRemoved(repository, counts),
      onFailure: (path, reason) => this.#observer.onStaleDataLeft(repository, path, reason),
    });
  }

  async #clean(
    repository: Repository,
    options: OptimizeOptions & { readonly record: RunRecord },
  ): Promise<void> {
    const { record, signal } = options;
    await record
      .step('clean-stale-data', () => this.cleanStaleData(repository, options))
      .catch(wrapped('could not execute housekeeping'));
    await record
      .step('clean-worktrees', () => cleanWorktrees(repository, { signal }))
      .catch(wrapped('could not clean up worktrees'));
  }
}

/**
 * Runs maintenance that ends with the call, or when another operation takes over the repository.
 */
async function unlessTakenOver<T>(
  run: MaintenanceRun,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await work(AbortSignal.any([signal, run.signal]));
  } catch (error) {
    if (!run.signal.aborted || signal.aborted) throw error;
    const message = 'another operation needs the repository: repeat the maintenance';
    throw new GitalyError('ABORTED', message, { cause: error });
  }
}

/**
 * Marks the repository as changing, so that the next start removes the leftovers of a killed
 * server.
 */
async function whileMarked<T>(
  repository: Repository,
  { isUnchanged, signal }: { readonly isUnchanged: boolean; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  if (isUnchanged) return await work();
  const change = await beginChangeInTurn(repository, { signal });
  try {
    return await work();
  } finally {
    await change.end();
  }
}

/**
 * Carries out a plan. The first failure ends it; a commit-graph that may have commits which are
 * gone is removed then, and the next run writes it anew.
 *
 * @throws {GitalyError} `could not repack: …`, `could not prune: …`, `could not pack refs: …`,
 *   `could not write commit-graph: …`.
 */
async function runPlan(
  repository: Repository,
  plan: MaintenancePlan,
  { mayGoOn, record, signal }: RunPlanOptions,
): Promise<void> {
  let [hasRun, isOver] = [false, false];
  /** True once commits may be gone that the commit-graph has: it is written then in any case. */
  let dropsCommits = false;
  const step = async (
    name: 'repack' | 'prune' | 'pack-refs' | 'commit-graph',
    doing: string,
    tasks: readonly string[],
    run: () => Promise<void>,
  ): Promise<void> => {
    signal.throwIfAborted();
    isOver ||= hasRun && (await mayGoOn?.()) === false;
    if (isOver && !(name === 'commit-graph' && dropsCommits)) return;
    hasRun = true;
    dropsCommits ||= name === 'prune';
    await record.step(name, run, tasks).catch(wrapped(`could not ${doing}`));
    // git deletes objects at the end of this one.
    dropsCommits ||= name === 'repack' && repackPlan?.expireBeforeMs !== undefined;
  };
  const { repack: repackPlan, prune: prunePlan, commitGraph } = plan;
  await using cleaning = new AsyncDisposableStack();
  cleaning.defer(async () => {
    // The error that ends the run tells more.
    if (dropsCommits && commitGraph !== undefined) await removeCommitGraph(repository).catch(() => {});
  });
  if (repackPlan !== undefined) {
    const tasks = [
      `packed_objects_${repackPlan.strategy}`,
      ...(repackPlan.writeBitmap ? ['written_bitmap'] : []),
      ...(repackPlan.writeMultiPackIndex ? ['written_multi_pack_index'] : []),
    ];
    await step('repack', 'repack', tasks, () => repack(repository, repackPlan, signal));
  }
  if (prunePlan !== undefined)
    await step('prune', 'prune', ['pruned_objects'], () => pruneObjects(repository, prunePlan, signal));
  if (plan.packReferences)
    await step('pack-refs', 'pack refs', ['packed_refs'], () => packReferences(repository, signal));
  if (commitGraph !== undefined) {
    const task = `written_commit_graph_${commitGraph.replaceChain ? 'full' : 'incremental'}`;
    await step('commit-graph', 'write commit-graph', [task], () =>
      writeCommitGraph(repository, commitGraph, signal),
    );
  }
  cleaning.move();
}
