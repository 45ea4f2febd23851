import type { CommitGraphInfo } from '#storage/statistics/commit-graph';
import type { CommitGraphPlan, PrunePlan, RepackPlan } from '../plan.ts';
import type { RepositoryState } from '../repository-state.ts';

/**
 * Returns how to write the commit-graph, for the other tasks of the run; `undefined` if it is up to
 * date.
 */
export function decideCommitGraph(
  { references, commitGraph }: RepositoryState,
  { repack, prune }: { readonly repack?: RepackPlan | undefined; readonly prune?: PrunePlan | undefined },
): CommitGraphPlan | undefined {
  const { backend } = references;
  // Nothing is reachable.
  if (backend === 'files' && references.looseCount === 0 && references.packedSizeBytes === 0)
    return undefined;
  // A layer may list commits that are dropped.
  if (prune !== undefined) return { replaceChain: true };
  if (isOutdatedCommitGraph(commitGraph)) return { replaceChain: true };
  if (repack === undefined) return undefined;
  return { replaceChain: repack.strategy === 'full_with_cruft' && repack.expireBeforeMs !== undefined };
}

/**
 * Reports whether a commit-graph has to be written anew: git adds filters and generation data to a
 * new layer only if all others have them.
 */
export function isOutdatedCommitGraph(commitGraph: CommitGraphInfo | undefined): boolean {
  return (
    commitGraph === undefined ||
    commitGraph.chainLength === 0 ||
    !commitGraph.hasBloomFilters ||
    !commitGraph.hasGenerationData
  );
}
