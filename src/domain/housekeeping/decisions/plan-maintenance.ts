import type { MaintenancePlan, PrunePlan } from '../plan.ts';
import type { ReferencesState, RepositoryState } from '../repository-state.ts';
import { decideCommitGraph } from './commit-graph.ts';
import { decideRepack, fullRepack, MAX_LOOSE_OBJECTS } from './repack.ts';
import { STALE_OBJECTS_MS } from './stale-objects.ts';

/** Number of loose references that are accepted even if `packed-refs` is small. */
const MIN_LOOSE_REFERENCES = 16;
/** Size in bytes of a line of `packed-refs`. */
const LINE_BYTES = 100;
/**
 * Base of the logarithm of the number of packed references that gives the accepted number of loose
 * ones: 49 at 100 KiB, 99 at 10 MiB. The whole file is written anew.
 */
const LOOSE_REFERENCES_BASE = 1.15;
/** A table must be this many times as large as all newer ones (git's default factor). */
const GEOMETRIC_FACTOR = 2;
/** Size in bytes of a table's header and footer, which grow with no reference. */
const TABLE_OVERHEAD_BYTES = 28;

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

/** Reports whether the references should be packed. */
export function shouldPackReferences(references: ReferencesState): boolean {
  switch (references.backend) {
    case 'files':
      return (
        references.looseCount > 0 && references.looseCount >= maxLooseReferences(references.packedSizeBytes)
      );
    case 'reftable':
      return references.tableSizesBytes.some((size, index, sizes) => {
        const newer = sizes[index + 1];
        return (
          newer !== undefined &&
          size - TABLE_OVERHEAD_BYTES < GEOMETRIC_FACTOR * (newer - TABLE_OVERHEAD_BYTES)
        );
      });
    case 'other':
      return false;
  }
}

/** Returns the number of loose references at which `packed-refs` of a size is written anew. */
export function maxLooseReferences(packedSizeBytes: number): number {
  const accepted = Math.log(packedSizeBytes / LINE_BYTES) / Math.log(LOOSE_REFERENCES_BASE);
  return Math.trunc(Math.max(MIN_LOOSE_REFERENCES, accepted));
}
