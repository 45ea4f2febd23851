import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultCluster, FaultPraefect } from './fault-cluster.ts';

/** The statement that records a write. */
const RECORD_OF_WRITE = 'record_write_';
/** Makes a node learn of a decision so late that there is time for a kill. */
const SLOW_MS = 50;

/** Calls back at its point of the next write. Returns how to end the watch. */
type Watch = (parts: WatchedWrite, reached: () => void) => () => void;

export interface WatchedWrite {
  readonly cluster: FaultCluster;
  /** The Praefect that gets the write. */
  readonly praefect: FaultPraefect;
  /** Path of the repository on the nodes' disks. */
  readonly replicaPath: string;
}

/** Points of a write, in their order. */
export const VOTE_POINTS = {
  'before the votes': ({ cluster, replicaPath }, reached) => {
    // A hook of the primary runs before the first vote on references.
    const flag = join(cluster.directory, 'hook-ran');
    const directories = cluster.nodes.map((node) =>
      join(node.directory, 'default', replicaPath, 'custom_hooks'),
    );
    for (const directory of directories) {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'pre-receive'), `#!/bin/sh\ntouch ${flag}\nsleep 0.3\n`);
      chmodSync(join(directory, 'pre-receive'), 0o755);
    }
    const timer = setInterval(() => {
      if (!existsSync(flag)) return;
      clearInterval(timer);
      reached();
    }, 5);
    return () => {
      clearInterval(timer);
      for (const directory of [...directories, flag]) rmSync(directory, { recursive: true, force: true });
    };
  },
  'between the votes': (parts, reached) => onDecision(parts, reached, 'PREPARED_PHASE'),
  'after the votes': (parts, reached) => onDecision(parts, reached, 'COMMITTED_PHASE'),
  'before the database write': ({ praefect }, reached) => {
    praefect.databaseLink.onRequest = (chunk) => {
      if (!chunk.includes(RECORD_OF_WRITE)) return true;
      reached();
      return praefect.process.isRunning;
    };
    // Without a database this line comes before the record.
    praefect.process.onLine = ({ msg }) => {
      if (msg === 'queueing replication jobs') reached();
    };
    return () => {
      praefect.databaseLink.onRequest = () => true;
      praefect.process.onLine = () => {};
    };
  },
} as const satisfies Readonly<Record<string, Watch>>;

function onDecision({ cluster, praefect }: WatchedWrite, reached: () => void, phase: string): () => void {
  for (const { links } of cluster.nodes) for (const link of links) link.delayMs = SLOW_MS;
  praefect.process.onLine = (line) => {
    const isDecision = line.msg === 'VoteTransaction: transaction committed';
    if (isDecision && line['transaction.phase'] === phase) reached();
  };
  return () => {
    praefect.process.onLine = () => {};
    for (const { links } of cluster.nodes) for (const link of links) link.delayMs = 0;
  };
}
