/**
 * Measures how much of the young generation of a server's heap moves to the old one. Preloaded;
 * each message ends a measurement, returns it, and starts the next one.
 */
import { GCProfiler, type HeapSpaceStatistics } from 'node:v8';

/** Collections since the last message. */
export interface Promotion {
  /** Those of the young generation. */
  readonly collections: number;
  /** Those of the whole heap. */
  readonly wholeCollections: number;
  /** Bytes in the young generation before the collections. */
  readonly youngBytes: number;
  /** Bytes by which they made the old generation grow. */
  readonly promotedBytes: number;
}

let profiler = new GCProfiler();
profiler.start();

process.on('message', () => {
  const { statistics } = profiler.stop();
  const collections = statistics.filter(({ gcType }) => gcType === 'Scavenge');
  const wholeCollections = statistics.filter(({ gcType }) => gcType === 'MarkSweepCompact').length;
  const promotion = { collections: collections.length, wholeCollections, youngBytes: 0, promotedBytes: 0 };
  for (const { beforeGC, afterGC } of collections) {
    promotion.youngBytes += usedBytes(beforeGC.heapSpaceStatistics, 'new_space');
    promotion.promotedBytes +=
      usedBytes(afterGC.heapSpaceStatistics, 'old_space') -
      usedBytes(beforeGC.heapSpaceStatistics, 'old_space');
  }
  process.send?.(promotion satisfies Promotion);
  profiler = new GCProfiler();
  profiler.start();
});

function usedBytes(spaces: readonly HeapSpaceStatistics[], name: string): number {
  return spaces.find(({ spaceName }) => spaceName === name)?.spaceUsedSize ?? 0;
}
