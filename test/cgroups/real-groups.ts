import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A writable mount point of control groups, with a separate group in it. */
export interface RealGroups extends Disposable {
  readonly version: 1 | 2;
  readonly mountpoint: string;
  readonly hierarchyRoot: string;
  /** Directories of the hierarchy root. */
  readonly roots: readonly string[];
}

const MOUNTPOINTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** Returns what this machine lets us write to; usually that needs root. */
export function realGroups(): readonly (() => RealGroups)[] {
  return MOUNTPOINTS.flatMap((mountpoint) => {
    const version = versionOf(mountpoint);
    return version === undefined || !isWritable(mountpoint, version) ? [] : [() => open(mountpoint, version)];
  });
}

function versionOf(mountpoint: string): 1 | 2 | undefined {
  if (existsSync(join(mountpoint, 'cgroup.controllers'))) return 2;
  return existsSync(join(mountpoint, 'memory/memory.stat')) ? 1 : undefined;
}

function isWritable(mountpoint: string, version: 1 | 2): boolean {
  try {
    open(mountpoint, version)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

function open(mountpoint: string, version: 1 | 2): RealGroups {
  const hierarchyRoot = `gitaly-test-${process.pid}`;
  const controllers =
    version === 2 ? [''] : ['memory', 'cpu'].filter((each) => isDirectory(join(mountpoint, each)));
  const roots = controllers.map((controller) => join(mountpoint, controller, hierarchyRoot));
  for (const root of roots) mkdirSync(root, { recursive: true });
  return {
    version,
    mountpoint,
    hierarchyRoot,
    roots,
    [Symbol.dispose]: () => {
      for (const root of roots) remove(root);
    },
  };
}

function isDirectory(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function remove(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) remove(join(directory, entry.name));
  rmdirSync(directory);
}
