import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { ElectionObserver } from './election-observer.ts';
import type { ErrorThresholds } from './error-thresholds.ts';
import { GoneNodes } from './gone-nodes.ts';

/** Checks in a row after which a node counts as healthy. */
export const GOOD_CHECKS = 3;
const CHECK_TIMEOUT_MS = 1000;

export interface NodeChecksOptions {
  /** In the order of the configuration. */
  readonly nodes: readonly GitalyNode[];
  readonly logger: Logger;
  readonly observer: Pick<ElectionObserver, 'checked'>;
  /** Makes nodes unhealthy that fail too many calls. */
  readonly thresholds?: ErrorThresholds | undefined;
}

/** Checks the nodes of a virtual storage, and remembers how many checks in a row were good. */
export class NodeChecks {
  readonly #options: NodeChecksOptions;
  /** Good checks in a row; negative for bad ones. */
  readonly #inRow = new Map<GitalyNode, number>();
  readonly #gone = new GoneNodes();
  /** Nodes that refused a call after their last check. */
  readonly #lost = new Set<GitalyNode>();

  constructor(options: NodeChecksOptions) {
    this.#options = options;
  }

  get healthy(): readonly GitalyNode[] {
    return this.#options.nodes.filter((node) => this.isHealthy(node));
  }

  isHealthy(node: GitalyNode): boolean {
    return (this.#inRow.get(node) ?? 0) >= GOOD_CHECKS && !this.#lost.has(node);
  }

  /** Notifies of a node that accepts no calls. It is unhealthy until its next good check. */
  lost(node: GitalyNode): void {
    this.#lost.add(node);
  }

  isLost(node: GitalyNode): boolean {
    return this.#lost.has(node);
  }

  /** Reports whether the last check of a node was good. */
  isServing(node: GitalyNode): boolean {
    return (this.#inRow.get(node) ?? 0) > 0;
  }

  /** Nodes without a server. */
  get gone(): readonly GitalyNode[] {
    return this.#options.nodes.filter((node) => this.#gone.has(node));
  }

  /**
   * Reports whether the next checks must start at once: a check failed for the first time, or a
   * node serves again that does not count as healthy yet.
   */
  get isUrgent(): boolean {
    const isUnsettled = (count: number): boolean => count === -1 || (count > 0 && count < GOOD_CHECKS);
    return this.#gone.isSuspected || [...this.#inRow.values()].some(isUnsettled);
  }

  /** Checks all nodes once. Returns the nodes that serve; not all of them count as healthy yet. */
  async run(): Promise<readonly GitalyNode[]> {
    const { nodes } = this.#options;
    const results = await Promise.all(nodes.map((node) => this.#check(node)));
    return nodes.filter((_, index) => results[index]);
  }

  async #check(node: GitalyNode): Promise<boolean> {
    const { logger, observer, thresholds } = this.#options;
    const startedAtMs = performance.now();
    let failure: unknown;
    const onFailure = (error: unknown): void => {
      failure = error;
      logger.error(
        { gitaly_storage: node.storage, gitaly_address: node.config.address, error: messageOf(error) },
        'error when pinging healthcheck',
      );
    };
    const problem = thresholds?.problemOf(node);
    if (problem !== undefined) onFailure(problem);
    const isServing = problem === undefined && (await node.isServing(CHECK_TIMEOUT_MS, onFailure));
    observer.checked(node.storage, {
      isHealthy: isServing,
      seconds: (performance.now() - startedAtMs) / 1000,
    });
    this.#gone.checked(node, failure);
    if (isServing) this.#lost.delete(node);
    const before = this.#inRow.get(node) ?? 0;
    this.#inRow.set(node, isServing ? Math.max(before, 0) + 1 : Math.min(before, 0) - 1);
    return isServing;
  }
}
