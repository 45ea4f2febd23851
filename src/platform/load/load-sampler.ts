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

export interface LoadSamplerOptions {
  /** Where control groups are mounted. */
  readonly mountpoint: string;
  /** Directories of the group to check. Default: that of this process. */
  readonly groupDirectories?: readonly string[] | undefined;
}

/** Starts sampling. */
export function startLoadSampler({ mountpoint, groupDirectories }: LoadSamplerOptions): LoadSampler {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return {
    async sample() {
      const memberships = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
      const directories = groupDirectories ?? ownCgroup(mountpoint, memberships);
      const cgroup = directories.length === 0 ? undefined : await readCgroupStats(directories);
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
