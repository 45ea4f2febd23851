import type { RepackPlan } from '../plan.ts';
import type { RepositoryState } from '../repository-state.ts';
import { STALE_OBJECTS_MS } from './stale-objects.ts';

/**
 * Time between full repacks. They rewrite everything, so a busy repository gets geometric ones in
 * between; without any, unreachable objects would never be moved to cruft packs and expire.
 */
const FULL_REPACK_COOL_DOWN_MS = 5 * 24 * 60 * 60 * 1000;
/**
 * Number of loose objects beyond which they are packed. git itself packs at 6700 (`gc.auto`); a
 * server reads them from more directories at once.
 */
export const MAX_LOOSE_OBJECTS = 1024;
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
export function fullRepack(state: RepositoryState, nowMs: number): RepackPlan {
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
