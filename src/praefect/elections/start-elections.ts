import type { Logger } from '#platform/log/logger';
import type { PraefectConfig } from '../config/schema.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import { Election, type PrimaryChoice } from './election.ts';
import type { ElectionObserver } from './election-observer.ts';
import type { ErrorThresholds } from './error-thresholds.ts';
import type { NodeHealth } from './node-health.ts';

export interface ElectionsOptions {
  readonly config: Pick<PraefectConfig, 'failover'>;
  readonly nodes: NodesByStorage;
  readonly metrics: { readonly elections: ElectionObserver };
  readonly logger: Logger;
}

export interface ElectionChoice {
  readonly thresholds: ErrorThresholds | undefined;
  readonly choiceOf: (virtualStorage: string, nodes: readonly GitalyNode[]) => PrimaryChoice;
}

/** Returns the health of the nodes of all virtual storages. */
export function healthOf(elections: ReadonlyMap<string, Election>): NodeHealth {
  const ofNode = ({ config }: GitalyNode): Election | undefined => elections.get(config.virtualStorage);
  return {
    isHealthy: (node) => ofNode(node)?.isHealthy(node) ?? false,
    lost: (node) => ofNode(node)?.lost(node),
    hasLost: (name, withinMs) => elections.get(name)?.hasLost(name, withinMs) ?? false,
    nextRound: async (name) => await elections.get(name)?.nextRound(),
  };
}

/** Starts one election for each virtual storage. Returns them by its name. */
export async function startElections(
  { config: { failover }, logger, metrics, nodes }: ElectionsOptions,
  { choiceOf, thresholds }: ElectionChoice,
  resources: AsyncDisposableStack,
): Promise<ReadonlyMap<string, Election>> {
  const started = await Promise.all(
    [...nodes].map(async ([name, ofStorage]) => {
      const election = await Election.start({
        virtualStorage: name,
        nodes: ofStorage,
        choice: choiceOf(name, ofStorage),
        bootstrapIntervalMs: failover.bootstrapIntervalMs,
        monitorIntervalMs: failover.monitorIntervalMs,
        logger,
        observer: metrics.elections,
        thresholds,
      });
      return [name, resources.use(election)] as const;
    }),
  );
  return new Map(started);
}
