import type { Dirent } from 'node:fs';
import { LoopSlice } from '#base/async/loop-turns';
import type { DirectoryMemory } from './directory-memory.ts';
import { entriesOf, statAll } from './directory-size.ts';

/**
 * Age above which unchanged loose objects are stale: objects of an unfinished push are younger.
 */
export const STALE_OBJECT_AGE_MS = 10 * 24 * 60 * 60 * 1000;

const SHARD_NAME = /^[0-9a-f]{2}$/;
const OBJECT_NAME = /^[0-9a-f]*$/;

/**
 * Sizes in bytes. Stale objects are included in `count` and `size`, garbage (including other files)
 * is not.
 */
export interface LooseObjects {
  readonly count: number;
  readonly size: bigint;
  readonly staleCount: number;
  readonly staleSize: bigint;
  readonly garbageCount: number;
}

export interface LooseObjectShard extends LooseObjects {
  /** Time of the oldest object. */
  readonly oldestMs: number;
}

export interface CountLooseOptions {
  readonly nowMs?: number;
  /**
   * Memory of directories. Those that are known and have no stale object are not read again. Git
   * renews the times of objects in place, but that makes none of them stale.
   */
  readonly shards?: DirectoryMemory<LooseObjectShard> | undefined;
}

export async function countLooseObjects(
  repositoryPath: string,
  { nowMs = Date.now(), shards }: CountLooseOptions = {},
): Promise<LooseObjects> {
  const staleBeforeMs = nowMs - STALE_OBJECT_AGE_MS;
  const slice = new LoopSlice();
  let total: LooseObjects = { count: 0, size: 0n, staleCount: 0, staleSize: 0n, garbageCount: 0 };
  for (const { name } of await entriesOf(`${repositoryPath}/objects`)) {
    if (!SHARD_NAME.test(name)) continue;
    const directory = `${repositoryPath}/objects/${name}`;
    const known = shards?.look(directory);
    const isKnown = typeof known === 'object' && known.oldestMs >= staleBeforeMs;
    const remember = typeof known === 'function' ? known : undefined;
    total = addLooseObjects(
      total,
      isKnown ? known : await countShard(directory, staleBeforeMs, slice, remember),
    );
    if (slice.isOver) await slice.pause();
  }
  return total;
}

export function addLooseObjects(left: LooseObjects, right: LooseObjects): LooseObjects {
  return {
    count: left.count + right.count,
    size: left.size + right.size,
    staleCount: left.staleCount + right.staleCount,
    staleSize: left.staleSize + right.staleSize,
    garbageCount: left.garbageCount + right.garbageCount,
  };
}

async function countShard(
  directory: string,
  staleBeforeMs: number,
  slice: LoopSlice,
  remember: ((shard: LooseObjectShard, entries: readonly Dirent[]) => void) | undefined,
): Promise<LooseObjects> {
  const shard = {
    ...{ count: 0, size: 0n, staleCount: 0, staleSize: 0n, garbageCount: 0 },
    oldestMs: Number.POSITIVE_INFINITY,
  };
  const entries = await entriesOf(directory);
  const names = entries.map((entry) => entry.name);
  for await (const { name, stats } of statAll(directory, names, slice)) {
    if (!OBJECT_NAME.test(name)) {
      shard.garbageCount++;
      continue;
    }
    shard.count++;
    shard.size += BigInt(stats.size);
    shard.oldestMs = Math.min(shard.oldestMs, stats.mtimeMs);
    if (stats.mtimeMs >= staleBeforeMs) continue;
    shard.staleCount++;
    shard.staleSize += BigInt(stats.size);
  }
  remember?.(shard, entries);
  return shard;
}
