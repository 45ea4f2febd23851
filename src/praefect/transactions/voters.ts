import type { VotingNode } from './subtransaction.ts';

export interface VotingPlan {
  readonly voters: readonly VotingNode[];
  readonly threshold: number;
}

/**
 * Weighs the nodes of a write so that nothing is decided without the primary: alone or with one
 * secondary it decides; otherwise at least half of the secondaries must agree with it.
 */
export function planVotes(primary: string, secondaries: readonly string[]): VotingPlan {
  const count = secondaries.length;
  return {
    voters: [{ node: primary, weight: count + 1 }, ...secondaries.map((node) => ({ node, weight: 1 }))],
    threshold: count + 1 + (count > 1 ? Math.ceil(count / 2) : 0),
  };
}
