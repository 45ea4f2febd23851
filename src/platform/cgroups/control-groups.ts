import { closeSync, constants, mkdirSync, openSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { crc32 } from 'node:zlib';
import { attempt } from '#base/attempt';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { JsonFields } from '#base/json-fields';
import { isProcessAlive } from '#base/process-identity';
import { findHierarchy, type GroupLimits, type Hierarchy } from './hierarchy.ts';

/** Settings of `[cgroups]`. */
export interface ControlGroupSettings extends GroupLimits {
  readonly mountpoint: string;
  readonly hierarchyRoot: string;
  readonly repositories: GroupLimits & { readonly count: number; readonly maxCgroupsPerRepo: number };
}

export interface RepositoryGroup {
  /** Directories of the group, one for each hierarchy. */
  readonly directories: readonly string[];
  /** Descriptor of the directory, if the kernel may be able to start a process in it (version 2). */
  readonly fd: number | undefined;
  /** Name of the group in the log. */
  readonly path: string;
}

export interface ControlGroupsOptions {
  readonly pid?: number;
  /** Another process of this server has created its groups, and removes them. `pid` is that process. */
  readonly isShared?: boolean;
  /** Called for old groups that cannot be removed. */
  readonly onProblem: (path: string, error: string) => void;
  /** Returns a number from 0 up to below 1, for tests. */
  readonly random?: () => number;
}

const OWN_NAME = /^gitaly-(\d+)$/;

/**
 * The control groups of this server: `<hierarchy_root>/gitaly-<pid>`, and in it `repos-<n>` for
 * the processes of repositories. They are created when they are first needed, and removed at the
 * end. A worker uses those of its supervisor.
 */
export class ControlGroups implements Disposable {
  readonly #settings: ControlGroupSettings;
  readonly #hierarchy: Hierarchy;
  readonly #random: () => number;
  readonly #isShared: boolean;
  readonly #groups = new Map<number, RepositoryGroup>();
  /** Path of the parent group, relative to the mount point. */
  readonly #parent: string;

  private constructor(settings: ControlGroupSettings, hierarchy: Hierarchy, options: ControlGroupsOptions) {
    this.#settings = settings;
    this.#hierarchy = hierarchy;
    this.#random = options.random ?? Math.random;
    this.#isShared = options.isShared ?? false;
    this.#parent = posix.join(settings.hierarchyRoot, `gitaly-${options.pid ?? process.pid}`);
  }

  /**
   * Creates the parent group and the first one of repositories, so that missing permissions are
   * known now. Removes the groups of dead processes.
   *
   * @returns `undefined` when the machine has no control groups at the mount point.
   * @throws {Error} with Gitaly's text: `failed setting up cgroups: …`
   */
  static create(settings: ControlGroupSettings, options: ControlGroupsOptions): ControlGroups | undefined {
    const hierarchy = findHierarchy(settings.mountpoint);
    if (hierarchy === undefined) return undefined;
    const groups = new ControlGroups(settings, hierarchy, options);
    if (groups.#isShared) return groups;
    const root = settings.hierarchyRoot;
    if (root !== '') pruneGroups(hierarchy.directories(root), options.pid ?? process.pid, options.onProblem);
    groups.#attempt('failed creating parent cgroup', () => groups.#make(groups.#parent, settings));
    groups.#attempt('setup repository-scoped cgroup', () => groups.#group(0));
    return groups;
  }

  get version(): 1 | 2 {
    return this.#hierarchy.version;
  }

  /** Directories of the parent group, with the usage of all processes. */
  get parentDirectories(): readonly string[] {
    return this.#hierarchy.directories(this.#parent);
  }

  /** Path of the parent group, relative to the mount point. */
  get parentPath(): string {
    return this.#parent;
  }

  /**
   * Returns the group for a command. The same key always gets the same group, or one of the
   * `max_cgroups_per_repo` groups from there on.
   *
   * @param key `<storage>/<relative path>`, or the words of a command without a repository.
   * @throws system errors when the group cannot be created.
   */
  groupFor(key: string): RepositoryGroup {
    const { count, maxCgroupsPerRepo } = this.#settings.repositories;
    const first = crc32(key) % count;
    const shift = maxCgroupsPerRepo > 1 ? Math.floor(this.#random() * maxCgroupsPerRepo) : 0;
    return this.#group((first + shift) % count);
  }

  /** Removes the groups, unless they are shared. Those in which processes still run stay, until the next start. */
  [Symbol.dispose](): void {
    for (const { fd } of this.#groups.values()) if (fd !== undefined) closeSync(fd);
    this.#groups.clear();
    if (this.#isShared) return;
    for (const directory of this.parentDirectories) removeGroup(directory);
  }

  #group(number: number): RepositoryGroup {
    const existing = this.#groups.get(number);
    if (existing !== undefined) return existing;
    const path = posix.join(this.#parent, `repos-${number}`);
    const directories = this.#make(path, this.#settings.repositories);
    const [directory = ''] = directories;
    const isVersion2 = this.#hierarchy.version === 2;
    const group = {
      directories,
      fd: isVersion2 ? openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY) : undefined,
      path: isVersion2 ? join(this.#settings.mountpoint, path) : path,
    };
    this.#groups.set(number, group);
    return group;
  }

  /** Creates a group with its limits, and the groups above it. Returns its directories. */
  #make(path: string, limits: GroupLimits): readonly string[] {
    const directories = this.#hierarchy.directories(path);
    for (const directory of directories) mkdirSync(directory, { recursive: true });
    this.#hierarchy.enableControllers(posix.dirname(path));
    for (const { file, value } of this.#hierarchy.limitFiles(path, limits)) writeFileSync(file, value);
    return directories;
  }

  #attempt(doing: string, action: () => unknown): void {
    try {
      action();
    } catch (error) {
      const fields = JsonFields.of(error);
      const [syscall, path] = [fields?.text('syscall'), fields?.text('path')]; // of a system error
      const why =
        syscall === undefined ? messageOf(error) : `${syscall} ${path ?? ''}: ${systemErrorText(error)}`;
      throw new Error(`failed setting up cgroups: ${doing}: ${why}`, { cause: error });
    }
  }
}

/**
 * Removes the groups of dead processes.
 *
 * @param roots directories of the hierarchy root, one for each hierarchy.
 */
function pruneGroups(
  roots: readonly string[],
  ownPid: number,
  onProblem: (path: string, error: string) => void,
): void {
  for (const root of roots) {
    for (const name of subgroups(root)) {
      const pid = Number(OWN_NAME.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(pid) || (pid !== ownPid && pid !== 0 && isProcessAlive(pid))) continue;
      const problem = removeGroup(join(root, name));
      if (problem !== undefined) onProblem(join(root, name), problem);
    }
  }
}

/**
 * Removes a group and those in it. Their files are the kernel's and vanish with them. Returns the
 * reason if it stays: processes still run in it.
 */
function removeGroup(directory: string): string | undefined {
  for (const name of subgroups(directory)) removeGroup(join(directory, name));
  try {
    rmdirSync(directory);
    return undefined;
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT' ? undefined : messageOf(error);
  }
}

function subgroups(directory: string): string[] {
  // On failure: there is no such group
  return (
    attempt(() =>
      readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name),
    ) ?? []
  );
}
