import type { PrunePlan } from '../plan.ts';
import type { RepositoryState } from '../repository-state.ts';
import { MAX_LOOSE_OBJECTS } from './repack.ts';
import { STALE_OBJECTS_MS } from './stale-objects.ts';

/**
 * Returns the pruning that a repository needs: it has many loose objects that are too old to belong
 * to a change under way. A pool is never pruned.
 */
export function decidePrune(state: RepositoryState, nowMs: number): PrunePlan | undefined {
  if (state.looseObjects.staleCount <= MAX_LOOSE_OBJECTS) return undefined;
  return pruneStale(state, nowMs);
}

/** Returns the pruning of stale objects, even of a few; `undefined` for a pool. */
export function pruneStale({ isPool }: RepositoryState, nowMs: number): PrunePlan | undefined {
  return isPool ? undefined : { expireBeforeMs: nowMs - STALE_OBJECTS_MS };
}
