import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { standIn } from '../stand-in.ts';

/** A node for tests whose checks fail with an error that a test sets. */
export interface CheckedNode {
  readonly node: GitalyNode;
  /** Number of checks. */
  checks: number;
  failure: unknown;
}

export function checkedNode(storage: string): CheckedNode {
  const failure: unknown = undefined;
  const checked = { checks: 0, failure };
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
  return Object.assign(checked, { node: standIn<GitalyNode>(node) });
}
