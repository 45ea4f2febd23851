import type { MaintenancePlan } from '../plan.ts';
import type { RepositoryState } from '../repository-state.ts';
import { decideCommitGraph } from './commit-graph.ts';
import { shouldPackReferences } from './pack-references.ts';
import { decidePrune, pruneStale } from './prune.ts';
import { decideRepack, fullRepack } from './repack.ts';

/** Returns the maintenance that a repository needs now. @param nowMs milliseconds since 1970. */
export function planAsNeeded(state: RepositoryState, nowMs: number): MaintenancePlan {
  const repack = decideRepack(state, nowMs);
  const prune = decidePrune(state, nowMs);
  return {
    repack,
    prune,
    packReferences: shouldPackReferences(state.references),
    commitGraph: decideCommitGraph(state, { repack, prune }),
  };
}

/**
 * Returns all maintenance, whatever the state; but references are packed only if there are enough,
 * as `git pack-refs --auto` does.
 */
export function planEverything(state: RepositoryState, nowMs: number): MaintenancePlan {
  return {
    repack: fullRepack(state, nowMs),
    prune: pruneStale(state, nowMs),
    packReferences: shouldPackReferences(state.references),
    commitGraph: { replaceChain: true },
  };
}
