import { readFile } from 'node:fs/promises';
import { getHeapStatistics } from 'node:v8';
import { ownCgroup, readCgroupStats } from './cgroup-stats.ts';
import type { LoadSample } from './conditions.ts';
import { startEventLoopDelay } from './event-loop-delay.ts';

/** Takes samples of the load. Disposing it ends the measurement of the event loop. */
export interface LoadSampler extends Disposable {
  sample(): Promise<LoadSample>;
}

export interface LoadSamplerOptions {
  /** Mount point of control groups. */
  readonly mountpoint: string;
  /** Directories of the group to check. Default: that of this process. */
  readonly groupDirectories?: readonly string[] | undefined;
}

export function startLoadSampler({ mountpoint, groupDirectories }: LoadSamplerOptions): LoadSampler {
  const delays = startEventLoopDelay();
  return {
    async sample() {
      const memberships = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
      const directories = groupDirectories ?? ownCgroup(mountpoint, memberships);
      const cgroup = directories.length === 0 ? undefined : await readCgroupStats(directories);
      const heap = getHeapStatistics();
      const eventLoopDelayMs = delays.read();
      return {
        atMs: performance.now(),
        cgroup,
        eventLoopDelayMs,
        heapShare: heap.used_heap_size / heap.heap_size_limit,
      };
    },
    [Symbol.dispose]: () => delays[Symbol.dispose](),
  };
}
