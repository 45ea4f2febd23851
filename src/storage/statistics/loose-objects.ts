import { LoopSlice } from '#base/loop-turns';
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

/** Counts the loose objects of a repository. */
export async function countLooseObjects(repositoryPath: string, nowMs = Date.now()): Promise<LooseObjects> {
  const total = { count: 0, size: 0n, staleCount: 0, staleSize: 0n, garbageCount: 0 };
  const slice = new LoopSlice();
  for (const { name: shard } of await entriesOf(`${repositoryPath}/objects`)) {
    if (!SHARD_NAME.test(shard)) continue;
    const directory = `${repositoryPath}/objects/${shard}`;
    const names = (await entriesOf(directory)).map((entry) => entry.name);
    for await (const { name, stats } of statAll(directory, names, slice)) {
      if (!OBJECT_NAME.test(name)) {
        total.garbageCount++;
        continue;
      }
      total.count++;
      total.size += BigInt(stats.size);
      if (stats.mtimeMs >= nowMs - STALE_OBJECT_AGE_MS) continue;
      total.staleCount++;
      total.staleSize += BigInt(stats.size);
    }
  }
  return total;
}
