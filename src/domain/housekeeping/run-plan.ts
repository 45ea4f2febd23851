import { wrapped } from '#base/gitaly-error';
import type { Repository } from '#storage/repository';
import { packReferences } from './commands/pack-references.ts';
import { pruneObjects } from './commands/prune.ts';
import { repack } from './commands/repack.ts';
import { writeCommitGraph } from './commands/write-commit-graph.ts';
import type { MaintenancePlan } from './plan.ts';
import type { RunRecord } from './run-record.ts';

export interface RunPlanOptions {
  readonly record: RunRecord;
  /** Called before each step except the first; the run ends if it resolves to false. */
  readonly mayGoOn?: (() => Promise<boolean>) | undefined;
  readonly signal: AbortSignal;
}

/**
 * Carries out a plan. The first failure ends it.
 *
 * @throws {GitalyError} `could not repack: …`, `could not prune: …`, `could not pack refs: …`,
 *   `could not write commit-graph: …`.
 */
export async function runPlan(
  repository: Repository,
  plan: MaintenancePlan,
  { mayGoOn, record, signal }: RunPlanOptions,
): Promise<void> {
  let [hasRun, isOver] = [false, false];
  const step = async (
    name: 'repack' | 'prune' | 'pack-refs' | 'commit-graph',
    doing: string,
    tasks: readonly string[],
    run: () => Promise<void>,
  ): Promise<void> => {
    signal.throwIfAborted();
    isOver ||= hasRun && (await mayGoOn?.()) === false;
    if (isOver) return;
    hasRun = true;
    await record.step(name, run, tasks).catch(wrapped(`could not ${doing}`));
  };
  const { repack: repackPlan, prune: prunePlan, commitGraph } = plan;
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
}
