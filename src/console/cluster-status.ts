/** State of a cluster: the JSON of `gitaly-ts cluster status`. What is not known is null. */
export interface ConsoleCluster {
  /** True if there are no problems. */
  readonly ok: boolean;
  /** Sentences about everything that an operator should check. */
  readonly problems: readonly string[];
  readonly virtual_storages: readonly {
    readonly name: string;
    readonly repositories: number | null;
    /** Number of repositories without a healthy, up-to-date replica. */
    readonly unavailable: number;
    /** Relative paths of the first of them. */
    readonly unavailable_paths: readonly string[];
    readonly storages: readonly {
      readonly storage: string;
      readonly healthy: boolean;
      readonly last_seen: string | null;
      /** Number of repositories whose primary it is: their writes are decided with it. */
      readonly primaries: number | null;
      readonly assigned: number | null;
      readonly outdated: number;
      readonly jobs: number | null;
      readonly oldest_job: string | null;
    }[];
  }[];
  readonly praefects: readonly { readonly name: string; readonly last_contact: string }[] | null;
}

/** Reads the state of the cluster. @throws when that is not possible. */
export type ClusterSource = () => Promise<ConsoleCluster>;

/** Readings take at most this part of the time: with a million repositories one takes seconds. */
const READ_SHARE = 1 / 10;
const MIN_AGE_MS = 1000;

/**
 * Returns a source whose results are shared by all requests for a short time. Failures are not
 * cached.
 */
export function sharedCluster(read: ClusterSource): ClusterSource {
  let last: Promise<ConsoleCluster> | undefined;
  let isFreshUntilMs = Number.POSITIVE_INFINITY;
  return () => {
    if (last !== undefined && performance.now() < isFreshUntilMs) return last;
    const startedAtMs = performance.now();
    isFreshUntilMs = Number.POSITIVE_INFINITY; // while it is read
    last = read();
    last.then(
      () => {
        const nowMs = performance.now();
        isFreshUntilMs = nowMs + Math.max(MIN_AGE_MS, (nowMs - startedAtMs) / READ_SHARE);
      },
      () => {
        last = undefined;
      },
    );
    return last;
  };
}
