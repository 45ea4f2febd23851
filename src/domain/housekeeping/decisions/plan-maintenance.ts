import type { MaintenancePlan, PrunePlan, RepackPlan } from '../plan.ts';
import type { ReferencesState, RepositoryState } from '../repository-state.ts';
import { decideCommitGraph } from './commit-graph.ts';

/**
 * Age at which unreachable objects are dropped. Longer than any push, and than the time in which
 * users notice that a branch was deleted by mistake over a weekend.
 */
const STALE_OBJECTS_MS = 10 * 24 * 60 * 60 * 1000;

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

/**
 * Time between full repacks. They rewrite everything, so a busy repository gets geometric ones in
 * between; without any, unreachable objects would never be moved to cruft packs and expire.
 */
const FULL_REPACK_COOL_DOWN_MS = 5 * 24 * 60 * 60 * 1000;
/**
 * Number of loose objects beyond which they are packed. git itself packs at 6700 (`gc.auto`); a
 * server reads them from more directories at once.
 */
const MAX_LOOSE_OBJECTS = 1024;
/** Packs without multi-pack-index that are accepted in the smallest repository. */
const MIN_UNTRACKED_PACKS = 2;
/**
 * Base of the logarithm of a repository's size in MiB that gives the accepted number of packs
 * outside the multi-pack-index: 3 at 10 MiB, 11 at 1 GiB, 15 at 10 GiB. Repacking a larger
 * repository costs more.
 */
const UNTRACKED_PACKS_BASE = 1.8;
const MIB = 1024 * 1024;

/** Returns the repack that a repository needs; `undefined` for none. */
export function decideRepack(state: RepositoryState, nowMs: number): RepackPlan | undefined {
  const { packfiles, looseObjects, alternatesModifiedMs, lastFullRepackMs = 0 } = state;
  if (packfiles.count === 0 && looseObjects.count === 0) return undefined;
  // It joined a pool: only a full repack drops the objects that the pool has.
  if (alternatesModifiedMs !== undefined && alternatesModifiedMs > lastFullRepackMs)
    return fullRepack(state, nowMs);
  const isCool = nowMs - lastFullRepackMs > FULL_REPACK_COOL_DOWN_MS;
  if (packfiles.count - packfiles.cruftCount > 1 && isCool) return fullRepack(state, nowMs);
  if (hasTooManyUntrackedPacks(state)) {
    return { strategy: 'geometric', writeBitmap: state.alternateCount === 0, writeMultiPackIndex: true };
  }
  if (looseObjects.count > MAX_LOOSE_OBJECTS) {
    return { strategy: 'incremental_with_unreachable', writeBitmap: false, writeMultiPackIndex: false };
  }
  return undefined;
}

/** Returns a repack of everything. A pool keeps unreachable objects: members may need them. */
function fullRepack(state: RepositoryState, nowMs: number): RepackPlan {
  // git can write a bitmap only if all objects are in packs of the repository itself.
  const common = { writeBitmap: state.alternateCount === 0, writeMultiPackIndex: true };
  return state.isPool
    ? { strategy: 'full_with_unreachable', ...common }
    : { strategy: 'full_with_cruft', expireBeforeMs: nowMs - STALE_OBJECTS_MS, ...common };
}

function hasTooManyUntrackedPacks({ packfiles }: RepositoryState): boolean {
  if (packfiles.multiPackIndex === undefined) return true;
  const untracked = packfiles.count - packfiles.multiPackIndex.packfileCount;
  // The index lists packs that are gone: it must be written anew.
  return untracked < 0 || untracked > maxUntrackedPacks(packfiles.size);
}

/** Returns the number of packs outside the multi-pack-index that a repository may have. */
export function maxUntrackedPacks(sizeBytes: bigint): number {
  const mebibytes = Math.floor(Number(sizeBytes) / MIB);
  return Math.trunc(Math.max(MIN_UNTRACKED_PACKS, Math.log(mebibytes) / Math.log(UNTRACKED_PACKS_BASE)));
}
