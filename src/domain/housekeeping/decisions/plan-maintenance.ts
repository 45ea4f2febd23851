import type { MaintenancePlan, PrunePlan } from '../plan.ts';
import type { RepositoryState } from '../repository-state.ts';
import { decideCommitGraph } from './commit-graph.ts';
import { shouldPackReferences } from './pack-references.ts';
import { decideRepack, fullRepack, MAX_LOOSE_OBJECTS } from './repack.ts';
import { STALE_OBJECTS_MS } from './stale-objects.ts';

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

/**
 * Returns the pruning that a repository needs: it has many loose objects that are too old to belong
 * to a change under way. A pool is never pruned.
 */
export function decidePrune(state: RepositoryState, nowMs: number): PrunePlan | undefined {
  if (state.looseObjects.staleCount <= MAX_LOOSE_OBJECTS) return undefined;
  return pruneStale(state, nowMs);
}

/** Returns the pruning of stale objects, even of a few; `undefined` for a pool. */
function pruneStale({ isPool }: RepositoryState, nowMs: number): PrunePlan | undefined {
  return isPool ? undefined : { expireBeforeMs: nowMs - STALE_OBJECTS_MS };
}
