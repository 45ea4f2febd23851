import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Share of time in percent in which some task waited for a resource. */
export interface Pressure {
  readonly avg10: number;
  readonly avg60: number;
}

/** Usage of a control group. What the system does not report is `undefined`. */
export interface CgroupStats {
  readonly anonBytes: number | undefined;
  /** Also `undefined` if there is no limit. */
  readonly memoryLimitBytes: number | undefined;
  /** Processes that the kernel ended for lack of memory, since the group exists. */
  readonly oomKills: number | undefined;
  /** Time for which the group was throttled, since it exists. */
  readonly throttledSeconds: number | undefined;
  /** Only version 2 reports it. */
  readonly pressure: Readonly<Record<'memory' | 'io' | 'cpu', Pressure | undefined>>;
}

/** Version 1 reports a number near 2^63 for no limit. */
const NO_LIMIT_BYTES = 2 ** 62;

/**
 * Returns the directories of the control group of this process, in the order in which they are
 * searched: of version 1 with its controllers, otherwise of version 2. In a container the
 * memberships may name a path that is not visible there; then the mount point itself is the group.
 *
 * @param mountpoint where control groups are mounted, usually `/sys/fs/cgroup`.
 * @param memberships content of `/proc/self/cgroup`: lines `<n>:<controllers>:<path>`, without
 *   controllers for version 2.
 */
export function ownCgroup(mountpoint: string, memberships: string): string[] {
  const groups = memberships.split('\n').map((line) => line.split(/:(.*?):(.*)/s, 3));
  const pathOf = (controller: string): string | undefined =>
    groups.find(([, controllers]) => controllers?.split(',').includes(controller))?.[2];
  const version1 = (['memory', 'cpu'] as const).flatMap((controller) => {
    const path = pathOf(controller);
    return path === undefined ? [] : [join(mountpoint, controller, path), join(mountpoint, controller)];
  });
  if (version1.length > 0) return version1;
  const version2 = pathOf('');
  return version2 === undefined ? [] : [...new Set([resolve(mountpoint, `.${version2}`), mountpoint])];
}

/**
 * Reads the usage of a control group of either version. An unreadable file counts as absent; of
 * several directories, the first one with the file is used.
 */
export async function readCgroupStats(directories: readonly string[]): Promise<CgroupStats> {
  const read = async (name: string): Promise<string> => {
    for (const directory of directories) {
      const text = await readFile(join(directory, name), 'utf8').catch(() => '');
      if (text !== '') return text;
    }
    return '';
  };
  const [memory, limit2, limit1, events, oom, cpu, memoryPressure, ioPressure, cpuPressure] =
    await Promise.all([
      read('memory.stat'),
      read('memory.max'),
      read('memory.limit_in_bytes'),
      read('memory.events'),
      read('memory.oom_control'),
      read('cpu.stat'),
      read('memory.pressure'),
      read('io.pressure'),
      read('cpu.pressure'),
    ]);
  return {
    anonBytes: numberAfter(memory, 'anon') ?? numberAfter(memory, 'total_rss'),
    memoryLimitBytes: limitOf(limit2) ?? limitOf(limit1),
    oomKills: numberAfter(events, 'oom_kill') ?? numberAfter(oom, 'oom_kill'),
    throttledSeconds:
      scaled(numberAfter(cpu, 'throttled_usec'), 1e6) ?? scaled(numberAfter(cpu, 'throttled_time'), 1e9),
    pressure: {
      memory: pressureOf(memoryPressure),
      io: pressureOf(ioPressure),
      cpu: pressureOf(cpuPressure),
    },
  };
}

function limitOf(text: string): number | undefined {
  if (!/^\d+\s*$/.test(text)) return undefined;
  const bytes = Number(text);
  return bytes < NO_LIMIT_BYTES ? bytes : undefined;
}

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value / unit;
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
