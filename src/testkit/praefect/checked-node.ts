import type { GitalyNode } from '#praefect/nodes/gitaly-node';

/** A node for tests whose checks fail with an error that a test sets. */
export interface CheckedNode {
  readonly node: GitalyNode;
  /** Number of checks. */
  checks: number;
  failure: unknown;
}

export function checkedNode(storage: string): CheckedNode {
  const checked = { checks: 0, failure: undefined as unknown };
  const node = {
    storage,
    config: { virtualStorage: 'default', storage, address: `tcp://${storage}:8075`, token: undefined },
    onDisconnect: () => {},
    isServing: async (_timeoutMs: number, onFailure: (error: unknown) => void) => {
      checked.checks++;
      if (checked.failure !== undefined) onFailure(checked.failure);
      return checked.failure === undefined;
    },
  };
  // All that checks and elections use of a node.
  return Object.assign(checked, { node: node as unknown as GitalyNode });
}
