import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** The nodes of a virtual storage that has one primary (strategies `local` and `sql`). */
export interface VirtualStorageNodes {
  /** In the order of the configuration. */
  readonly nodes: readonly GitalyNode[];
  readonly healthy: readonly GitalyNode[];
  isHealthy(node: GitalyNode): boolean;
  /** @throws {Error} `primary gitaly is not healthy` */
  primary(): Promise<GitalyNode>;
}
