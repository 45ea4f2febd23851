import type { PrimaryChoice } from '../elections/election.ts';
import type { VirtualStorageNodes } from '../elections/virtual-storage-nodes.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { PRIMARY_DOWN, UnhealthyNodesError } from '../nodes/unhealthy-nodes.ts';
import type { RemoteHealth } from './node-health.ts';

export interface RemoteElectionOptions {
  readonly nodes: readonly GitalyNode[];
  /** Finds the primary that the supervisor, or another Praefect, has elected. */
  readonly choice: Pick<PrimaryChoice, 'find'>;
  readonly health: RemoteHealth;
}

/** The nodes of a virtual storage in a worker, which elects no primary. */
export class RemoteElection implements VirtualStorageNodes {
  readonly nodes: readonly GitalyNode[];
  readonly #options: RemoteElectionOptions;

  constructor(options: RemoteElectionOptions) {
    this.nodes = options.nodes;
    this.#options = options;
  }

  get healthy(): readonly GitalyNode[] {
    return this.nodes.filter((node) => this.isHealthy(node));
  }

  isHealthy(node: GitalyNode): boolean {
    return this.#options.health.isHealthy(node);
  }

  async primary(): Promise<GitalyNode> {
    const { choice, health } = this.#options;
    const primary = await choice.find();
    if (primary === undefined || health.isLost(primary)) throw new UnhealthyNodesError(PRIMARY_DOWN);
    return primary;
  }
}
