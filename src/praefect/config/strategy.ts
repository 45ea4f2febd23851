import type { PraefectConfig } from './schema.ts';

export const STRATEGIES = ['per_repository', 'sql', 'local'] as const;
export type ElectionStrategy = (typeof STRATEGIES)[number];

/** How primaries are chosen, and where the state of the cluster is. */
export interface Strategy {
  readonly name: ElectionStrategy;
  /** False if the first node of a virtual storage is always its primary. */
  readonly failsOver: boolean;
  /** True if everything is kept in memory, so that no database is needed. */
  readonly isInMemory: boolean;
}

/**
 * Returns the strategy in effect. Strategies other than per_repository need an explicit consent.
 */
export function strategyOf(config: PraefectConfig): Strategy {
  const { enabled, electionStrategy } = config.failover;
  const isUnderstood = config.iUnderstandMyElectionStrategyIsUnsupportedAndWillBeRemovedWithoutWarning;
  const given = isUnderstood ? STRATEGIES.find((name) => name === electionStrategy) : undefined;
  const chosen = given ?? 'per_repository'; // the name was validated before
  // A primary that never changes needs no elections, and a memory backend cannot elect by
  // repository.
  const isFixed = !enabled && (chosen !== 'per_repository' || config.memoryQueueEnabled);
  const name = isFixed ? 'local' : chosen;
  return { name, failsOver: enabled, isInMemory: config.memoryQueueEnabled && name === 'local' };
}

/** Describes a choice of primaries that does not exist here. */
export function problemOfStrategy(config: PraefectConfig): string | undefined {
  const { isInMemory, name } = strategyOf(config);
  if (name !== 'local' && config.memoryQueueEnabled)
    return 'memory_queue_enabled = true needs election_strategy = "local": the others use the database';
  if (name === 'local' && !isInMemory)
    return 'election_strategy = "local" needs memory_queue_enabled = true: its state is in memory';
  return undefined;
}
