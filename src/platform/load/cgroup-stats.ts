import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Share of time in percent in which some task waited for a resource. */
export interface Pressure {
  readonly avg10: number;
  readonly avg60: number;
}

/** Usage of a control group. What the system does not report is `undefined`. */
export interface CgroupStats {
  readonly anonBytes: number | undefined;
  /** `undefined` also if there is no limit. */
  readonly memoryLimitBytes: number | undefined;
  /** Processes that the kernel ended for lack of memory, since the group exists. */
  readonly oomKills: number | undefined;
  /** Time for which the group was throttled, since it exists. */
  readonly throttledSeconds: number | undefined;
  readonly pressure: Readonly<Record<'memory' | 'io' | 'cpu', Pressure | undefined>>;
}

/**
 * Returns the directory of the control group (v2) of this process; `undefined` without one.
 *
 * @param mountpoint where control groups are mounted, usually `/sys/fs/cgroup`.
 * @param memberships content of `/proc/self/cgroup`: a line `0::/path` names the group.
 */
export function ownCgroup(mountpoint: string, memberships: string): string | undefined {
  const path = /^0::(\/.*)$/m.exec(memberships)?.[1];
  return path === undefined ? undefined : join(mountpoint, path);
}

/** Reads the usage of a control group (v2). A file that cannot be read counts as absent. */
export async function readCgroupStats(directory: string): Promise<CgroupStats> {
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8').catch(() => '');
  const [memory, limit, events, cpu, memoryPressure, ioPressure, cpuPressure] = await Promise.all([
    read('memory.stat'),
    read('memory.max'),
    read('memory.events'),
    read('cpu.stat'),
    read('memory.pressure'),
    read('io.pressure'),
    read('cpu.pressure'),
  ]);
  const throttledMicroseconds = numberAfter(cpu, 'throttled_usec');
  return {
    anonBytes: numberAfter(memory, 'anon'),
    memoryLimitBytes: /^\d+\s*$/.test(limit) ? Number(limit) : undefined,
    oomKills: numberAfter(events, 'oom_kill'),
    throttledSeconds: throttledMicroseconds === undefined ? undefined : throttledMicroseconds / 1e6,
    pressure: {
      memory: pressureOf(memoryPressure),
      io: pressureOf(ioPressure),
      cpu: pressureOf(cpuPressure),
    },
  };
}

/** Returns the number of a line `<key> <number>`. */
function numberAfter(text: string, key: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${key} `));
  return line === undefined ? undefined : Number(line.slice(key.length + 1));
}

/** Parses the line `some avg10=1.00 avg60=2.00 avg300=0.50 total=3`. */
function pressureOf(text: string): Pressure | undefined {
  const [, avg10, avg60] = /^some avg10=([\d.]+) avg60=([\d.]+) /m.exec(text) ?? [];
  return avg10 === undefined || avg60 === undefined
    ? undefined
    : { avg10: Number(avg10), avg60: Number(avg60) };
}
