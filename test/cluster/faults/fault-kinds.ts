import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isError } from '#base/is-error';
import type { FaultCluster, FaultNode, FaultPraefect } from './fault-cluster.ts';

/** Ends a fault and what it has stopped. */
export type Heal = () => Promise<void>;

/** Random choices that a seed repeats. */
export interface Choices {
  /** Returns an integer from 0 to below `limit`. */
  below(limit: number): number;
  of<T>(values: readonly T[]): T;
}

/** One fault. Resolves when it has started. */
export type Fault = (cluster: FaultCluster, choices: Choices) => Promise<Heal>;

const SLOW_MS = 50;
/** How long to wait for the moment at which a Praefect is to be killed. */
const MOMENT_MS = 5000;
const LOOK_EVERY_MS = 10;
/** The statement that records a write. */
const RECORD_OF_WRITE = 'record_write_';

const anyNode = ({ nodes }: FaultCluster, choices: Choices): FaultNode => choices.of(nodes);
const anyPraefect = ({ praefects }: FaultCluster, choices: Choices): FaultPraefect => choices.of(praefects);

/** All faults by name. */
export const FAULTS = {
  'a node is stopped': async (cluster, choices) => {
    const node = anyNode(cluster, choices);
    node.process.kill('SIGSTOP');
    return async () => node.process.kill('SIGCONT');
  },
  'a node is killed': async (cluster, choices) => {
    const node = anyNode(cluster, choices);
    node.process.kill('SIGKILL');
    return () => node.restart();
  },
  'a node is partitioned from all': async (cluster, choices) => {
    const { links } = anyNode(cluster, choices);
    for (const link of links) link.state = 'dropped';
    return async () => {
      for (const link of links) link.state = 'open';
    };
  },
  'a node is partitioned from one Praefect': async (cluster, choices) => {
    const link = choices.of(anyNode(cluster, choices).links);
    link.state = 'dropped';
    return async () => {
      link.state = 'open';
    };
  },
  'the connections of a node are cut': async (cluster, choices) => {
    for (const link of anyNode(cluster, choices).links) link.cut();
    return async () => {};
  },
  'a node is slow': async (cluster, choices) => {
    const { links } = anyNode(cluster, choices);
    for (const link of links) link.delayMs = SLOW_MS;
    return async () => {
      for (const link of links) link.delayMs = 0;
    };
  },
  'the database is restarted': async (cluster) => {
    await cluster.stopDatabase('SIGINT');
    return () => cluster.startDatabase();
  },
  'the database crashes': async (cluster) => {
    await cluster.stopDatabase('SIGQUIT');
    return () => cluster.startDatabase();
  },
  'a Praefect loses the database': async (cluster, choices) => {
    const { databaseLink } = anyPraefect(cluster, choices);
    databaseLink.state = 'closed';
    return async () => {
      databaseLink.state = 'open';
    };
  },
  'a Praefect is killed': async (cluster, choices) => {
    const praefect = anyPraefect(cluster, choices);
    praefect.process.kill('SIGKILL');
    return () => praefect.process.start();
  },
  'a Praefect is killed between votes': async (cluster, choices) => {
    const praefect = anyPraefect(cluster, choices);
    // The nodes learn of the first decision so late that there is no second one.
    for (const { links } of cluster.nodes) for (const link of links) link.delayMs = SLOW_MS;
    praefect.process.onLine = ({ msg }) => {
      if (msg === 'VoteTransaction: transaction committed') praefect.process.kill('SIGKILL');
    };
    await ended(praefect);
    return async () => {
      praefect.process.onLine = () => {};
      for (const { links } of cluster.nodes) for (const link of links) link.delayMs = 0;
      if (!praefect.process.isRunning) await praefect.process.start();
    };
  },
  'a Praefect is killed before it records a write': async (cluster, choices) => {
    const praefect = anyPraefect(cluster, choices);
    praefect.databaseLink.onRequest = (chunk) => {
      if (!chunk.includes(RECORD_OF_WRITE)) return true;
      praefect.process.kill('SIGKILL');
      return false;
    };
    await ended(praefect);
    return async () => {
      praefect.databaseLink.onRequest = () => true;
      if (!praefect.process.isRunning) await praefect.process.start();
    };
  },
} as const satisfies Readonly<Record<string, Fault>>;

/** Waits until a Praefect was killed, or its moment has not come. */
async function ended({ process }: FaultPraefect): Promise<void> {
  const limit = performance.now() + MOMENT_MS;
  while (process.isRunning && performance.now() < limit) await delay(LOOK_EVERY_MS);
}

/** The disk of a node is full. Its storage must be a separate small file system. */
export const fullDisk: Fault = async (cluster, choices) => {
  const storage = join(anyNode(cluster, choices).directory, 'default');
  const filler = join(storage, 'filler');
  const { bavail, bsize } = statfsSync(storage);
  try {
    writeFileSync(filler, Buffer.alloc(bavail * bsize));
  } catch (error) {
    // A push took the last of it meanwhile.
    if (!isError(error) || !('code' in error) || error.code !== 'ENOSPC') throw error;
  }
  return async () => rmSync(filler, { force: true });
};
