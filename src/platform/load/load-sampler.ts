import { readFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { ownCgroup, readCgroupStats } from './cgroup-stats.ts';
import type { LoadSample } from './conditions.ts';

/** Takes samples of the load. Disposing it ends the measurement of the event loop. */
export interface LoadSampler extends Disposable {
  sample(): Promise<LoadSample>;
}

/** The measurement itself wakes up in this interval, which is in every measured delay. */
const RESOLUTION_MS = 20;

/** Starts sampling. @param mountpoint where control groups (v2) are mounted. */
export function startLoadSampler(mountpoint: string): LoadSampler {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return {
    async sample() {
      const memberships = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
      const directory = ownCgroup(mountpoint, memberships);
      const cgroup = directory === undefined ? undefined : await readCgroupStats(directory);
      const heap = getHeapStatistics();
      const eventLoopDelayMs = Math.max(0, delays.percentile(90) / 1e6 - RESOLUTION_MS);
      delays.reset();
      return {
        atMs: performance.now(),
        cgroup,
        eventLoopDelayMs,
        heapShare: heap.used_heap_size / heap.heap_size_limit,
      };
    },
    [Symbol.dispose]: () => void delays.disable(),
  };
}
