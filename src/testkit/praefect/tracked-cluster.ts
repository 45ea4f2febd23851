/** Nodes that have repositories which a test names, for tests of tracking. */
import { GitalyError } from '#base/gitaly-error';
import type { Database } from '#praefect/database/database';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { PostgresQueue } from '#praefect/replication/postgres-queue';
import type { TrackOptions, TrackRequest } from '#praefect/tracking/track-repository';
import { standIn } from '../stand-in.ts';

/** The path of a repository on the disk is not the one that clients use. */
export const replicaPathOf = (relativePath: string): string => `disk/${relativePath}`;

export const requestFor = (relativePath: string, change: Partial<TrackRequest> = {}): TrackRequest => ({
  virtualStorage: 'default',
  relativePath,
  replicaPath: replicaPathOf(relativePath),
  authoritativeStorage: 'gitaly-1',
  ...change,
});

export interface TrackedCluster extends TrackOptions {
  /** Replica paths of the repositories that the nodes have. */
  readonly existing: Set<string>;
  /** Copies that were made, as `source path > target path`. */
  readonly copies: string[];
  readonly printed: string[];
  /** Error of the next copy. */
  copyFails: GitalyError | undefined;
}

/** Returns nodes `gitaly-1` to `gitaly-3`. @param options.factor default replication factor. */
export function trackedCluster(
  database: Database,
  { factor = 0, replicatesNow = false } = {},
): TrackedCluster {
  const nodeOf = (storage: string): GitalyNode => {
    const repository = {
      repositoryExists: async ({ repository: wanted }: Wanted) => {
        if (wanted.relativePath.startsWith('..')) throw new GitalyError('INVALID_ARGUMENT', 'outside');
        return { exists: wanted.storageName === storage && cluster.existing.has(wanted.relativePath) };
      },
      replicateRepository: async ({ repository: to, source: from }: Wanted & { source: Named }) => {
        if (cluster.copyFails !== undefined) throw cluster.copyFails;
        cluster.copies.push([from, to].map((each) => `${each.storageName} ${each.relativePath}`).join(' > '));
      },
    };
    const objectPool = { getObjectPool: async () => ({}) };
    const config = { virtualStorage: 'default', storage, address: `unix:/${storage}`, token: undefined };
    return standIn({ storage, config, connection: { repository, objectPool } });
  };
  const cluster: TrackedCluster = {
    database,
    queue: new PostgresQueue(database, standIn({ error: () => {} })), // only failures to keep jobs are logged
    config: standIn({ virtualStorage: [{ name: 'default', defaultReplicationFactor: factor }] }),
    nodes: new Map([['default', ['gitaly-1', 'gitaly-2', 'gitaly-3'].map(nodeOf)]]),
    replicatesNow,
    existing: new Set(['a.git', 'b.git'].map(replicaPathOf)),
    copies: [],
    printed: [],
    copyFails: undefined,
    print: (line) => void cluster.printed.push(line),
  };
  return cluster;
}

interface Named {
  readonly storageName: string;
  readonly relativePath: string;
}

interface Wanted {
  readonly repository: Named;
}
