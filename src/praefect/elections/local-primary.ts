import type { Logger } from '#platform/log/logger';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { CheckedNodes, PrimaryChoice } from './election.ts';

export interface LocalPrimaryOptions {
  readonly virtualStorage: string;
  /** In the order of the configuration; at least one. */
  readonly nodes: readonly GitalyNode[];
  /** False if the primary stays the first node. */
  readonly failsOver: boolean;
  readonly logger: Logger;
}

/**
 * Chooses the primary in memory: the first configured node. When that is unhealthy, the first
 * healthy one replaces it for good. The choice ends with the process and is not shared with other
 * Praefects.
 */
export class LocalPrimary implements PrimaryChoice {
  readonly #options: LocalPrimaryOptions;
  #healthy: readonly GitalyNode[] = [];
  #current: GitalyNode;

  constructor(options: LocalPrimaryOptions) {
    const [first] = options.nodes;
    if (first === undefined) throw new Error('a virtual storage needs a node');
    this.#options = options;
    this.#current = first;
  }

  get current(): GitalyNode {
    return this.#current;
  }

  async update({ healthy }: CheckedNodes): Promise<void> {
    this.#healthy = healthy;
    const { failsOver, logger, virtualStorage } = this.#options;
    const [next] = healthy;
    if (!failsOver || next === undefined || healthy.includes(this.#current)) return;
    logger.info(
      {
        virtual_storage: virtualStorage,
        current_primary: next.storage,
        previous_primary: this.#current.storage,
      },
      'primary node changed',
    );
    this.#current = next;
  }

  async find(): Promise<GitalyNode | undefined> {
    return this.#healthy.includes(this.#current) ? this.#current : undefined;
  }
}
