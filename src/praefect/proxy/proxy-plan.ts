import type { Metadata } from '#rpc/common/metadata';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** One node that receives the call. */
export interface Destination {
  readonly node: GitalyNode;
  readonly metadata: Metadata;
  /** The client's first message, rewritten for this node. All others are passed on as they are. */
  readonly firstFrame: Buffer;
  /**
   * Receives the error with which the node ended the call. Returns the error for the client, or
   * `undefined` to continue without the node.
   */
  onError(error: unknown): unknown;
}

/** The nodes of a call, and what happens after it. */
export interface ProxyPlan {
  /** Node whose responses go to the client. */
  readonly primary: Destination;
  /** Nodes whose responses are dropped. */
  readonly secondaries: readonly Destination[];
  /**
   * Reports whether the nodes have started a change that they shall complete, although the client
   * or the primary has gone.
   */
  isBegun?(): boolean;
  /**
   * Reports whether the primary has ended the call because it has lost the repository, which other
   * nodes have: a new plan leaves it out.
   */
  hasLostReplica?(error: unknown): Promise<boolean>;
  /**
   * Runs after the call, also after an error. If it fails and the call did not, its error is the
   * result.
   */
  finish(): Promise<void>;
}
