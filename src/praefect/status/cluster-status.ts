/** State of one node in a virtual storage. What is not known is `undefined`. */
export interface StorageStatus {
  readonly storage: string;
  /** True by the consensus of all Praefects. */
  readonly isHealthy: boolean;
  readonly lastSeen: Date | undefined;
  /** Number of repositories whose primary it is. */
  readonly primaries: number | undefined;
  /** Number of repositories that are assigned to it. */
  readonly assigned: number | undefined;
  /** Number of these of which it has an older state, or nothing yet. */
  readonly outdated: number;
  /** Number of replication jobs that wait, run or are tried again. */
  readonly jobs: number | undefined;
  /** Time at which the oldest of these jobs was queued. */
  readonly oldestJob: Date | undefined;
}

export interface VirtualStorageStatus {
  readonly name: string;
  readonly repositories: number | undefined;
  /**
   * Number of repositories without a healthy replica that is up to date: they cannot be written.
   */
  readonly unavailable: number;
  /** The first of their relative paths, sorted. */
  readonly unavailablePaths: readonly string[];
  /** The nodes, in the order of the configuration, or sorted. */
  readonly storages: readonly StorageStatus[];
}

export interface ClusterStatus {
  readonly virtualStorages: readonly VirtualStorageStatus[];
  /** Praefects that have checked the nodes in the last minute; `undefined` if not known. */
  readonly praefects: readonly { readonly name: string; readonly lastContact: Date }[] | undefined;
}

/** Limit of the paths of unavailable repositories in a status. */
export const MAX_UNAVAILABLE_PATHS = 100;

/** Returns a sentence for everything that an operator should check; nothing if all is well. */
export function problemsOfCluster({ praefects, virtualStorages }: ClusterStatus): string[] {
  return [
    ...(praefects?.length === 0 ? ['no praefect has checked the nodes in the last minute'] : []),
    ...virtualStorages.flatMap(({ name, storages, unavailable }) => [
      ...storages.flatMap((each) => [
        ...(each.isHealthy ? [] : [`${name}: ${each.storage} is not healthy`]),
        ...(each.outdated === 0 ? [] : [`${name}: ${outdatedOn(each)}`]),
      ]),
      ...(unavailable === 0
        ? []
        : [`${name}: ${amount(unavailable, 'repository', 'repositories')} unavailable`]),
    ]),
  ];
}

function outdatedOn({ isHealthy, jobs, outdated, storage }: StorageStatus): string {
  const text = `${amount(outdated, 'replica')} not up to date on ${storage}`;
  if (!isHealthy || jobs !== 0) return text;
  const when = 'praefect does that every reconciliation.scheduling_interval (default 5m)';
  return `${text}, and no copy is queued yet: ${when}`;
}

function amount(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? `1 ${one} is` : `${count} ${many} are`;
}
