import { existsSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/** Limits of a group. 0 means the kernel's default. */
export interface GroupLimits {
  readonly memoryBytes: number;
  readonly cpuShares: number;
  /** Microseconds of processor time in 100 ms. */
  readonly cpuQuotaUs: number;
}

/** The control groups of a machine, mounted at one place. Paths are relative to the mount point. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Returns the directories of a group: version 1 has one for each controller. */
  directories(path: string): readonly string[];
  /** Returns the files that set limits, in the order in which they are written. */
  limitFiles(path: string, limits: GroupLimits): readonly { readonly file: string; readonly value: string }[];
  /**
   * Makes the controllers available to the groups in this one.
   *
   * @throws system errors.
   */
  enableControllers(path: string): void;
}

/** `CGROUP2_SUPER_MAGIC` of Linux. */
const CGROUP2_MAGIC = 0x63677270;
/** Controllers that Gitaly limits, as named by both versions. */
const CONTROLLERS = ['memory', 'cpu'] as const;
/** Period of the processor quota; the same as Gitaly's. */
const CPU_PERIOD_US = 100_000;

/**
 * Returns the hierarchy mounted at a place; `undefined` if nothing there looks like one. A hybrid
 * one, in which version 2 has no controllers, counts as version 1, as in Gitaly.
 */
export function findHierarchy(mountpoint: string): Hierarchy | undefined {
  if (isVersion2(mountpoint)) return version2(mountpoint);
  return CONTROLLERS.some((controller) => isDirectory(join(mountpoint, controller)))
    ? version1(mountpoint)
    : undefined;
}

function isVersion2(mountpoint: string): boolean {
  try {
    if (Number(statfsSync(mountpoint).type) === CGROUP2_MAGIC) return true;
    return statSync(join(mountpoint, 'cgroup.controllers')).isFile();
  } catch {
    return false;
  }
}

function version1(mountpoint: string): Hierarchy {
  const inController = (controller: string, path: string): string => join(mountpoint, controller, path);
  const mounted = CONTROLLERS.filter((controller) => isDirectory(join(mountpoint, controller)));
  return {
    version: 1,
    directories: (path) => mounted.map((controller) => inController(controller, path)),
    limitFiles: (path, { memoryBytes, cpuShares, cpuQuotaUs }) => [
      ...(memoryBytes > 0
        ? [{ file: join(inController('memory', path), 'memory.limit_in_bytes'), value: String(memoryBytes) }]
        : []),
      ...(cpuShares > 0
        ? [{ file: join(inController('cpu', path), 'cpu.shares'), value: String(cpuShares) }]
        : []),
      ...(cpuQuotaUs > 0
        ? [
            { file: join(inController('cpu', path), 'cpu.cfs_period_us'), value: String(CPU_PERIOD_US) },
            { file: join(inController('cpu', path), 'cpu.cfs_quota_us'), value: String(cpuQuotaUs) },
          ]
        : []),
    ],
    enableControllers: () => {}, // each controller has a separate hierarchy
  };
}

function version2(mountpoint: string): Hierarchy {
  return {
    version: 2,
    directories: (path) => [join(mountpoint, path)],
    limitFiles: (path, { memoryBytes, cpuShares, cpuQuotaUs }) => [
      ...(memoryBytes > 0
        ? [{ file: join(mountpoint, path, 'memory.max'), value: String(memoryBytes) }]
        : []),
      ...(cpuShares > 0
        ? [{ file: join(mountpoint, path, 'cpu.weight'), value: String(cpuWeight(cpuShares)) }]
        : []),
      ...(cpuQuotaUs > 0
        ? [{ file: join(mountpoint, path, 'cpu.max'), value: `${cpuQuotaUs} ${CPU_PERIOD_US}` }]
        : []),
    ],
    enableControllers: (path) => enableFromTop(mountpoint, path),
  };
}

/**
 * Enables the controllers in every group from the top down. The upper ones may belong to another
 * user, who has enabled them already; only the last group must work.
 */
function enableFromTop(mountpoint: string, path: string): void {
  let directory = mountpoint;
  let problem: unknown;
  for (const part of ['', ...path.split(posix.sep)]) {
    directory = join(directory, part);
    try {
      enableIn(directory);
      problem = undefined;
    } catch (error) {
      problem = error;
    }
  }
  if (problem !== undefined) throw problem;
}

function enableIn(directory: string): void {
  const words = (name: string): string[] =>
    readFileSync(join(directory, name), 'utf8')
      .split(/\s+/)
      .filter((word) => word !== '');
  if (!existsSync(join(directory, 'cgroup.controllers'))) return;
  const [available, enabled] = [words('cgroup.controllers'), words('cgroup.subtree_control')];
  const missing = CONTROLLERS.filter((each) => available.includes(each) && !enabled.includes(each));
  if (missing.length === 0) return;
  const change = missing.map((each) => `+${each}`).join(' ');
  writeFileSync(join(directory, 'cgroup.subtree_control'), change);
}

/** Converts shares, 2 to 262144, to a weight, 1 to 10000, as containerd does. */
function cpuWeight(shares: number): number {
  return 1 + Math.floor(((shares - 2) * 9999) / 262142);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemErrorCode(error) ?? '')) return false;
    throw error;
  }
}
