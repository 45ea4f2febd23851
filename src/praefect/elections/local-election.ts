import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { ElectionObserver } from '../metrics/election-metrics.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { ErrorThresholds } from './error-thresholds.ts';

/** Checks in a row after which a node counts as healthy. */
const GOOD_CHECKS = 3;
const CHECK_TIMEOUT_MS = 1000;

export interface LocalElectionOptions {
  readonly virtualStorage: string;
  /** In the order of the configuration; at least one. */
  readonly nodes: readonly GitalyNode[];
  /** False if the primary stays the first node. */
  readonly failsOver: boolean;
  readonly bootstrapIntervalMs: number;
  readonly monitorIntervalMs: number;
  readonly logger: Logger;
  readonly observer: ElectionObserver;
  /** Makes nodes unhealthy that fail too many calls. */
  readonly thresholds?: ErrorThresholds | undefined;
}

/**
 * Chooses the primary of a virtual storage in memory: the first configured node, and when that is
 * unhealthy the first other healthy one, which then stays. For tests: it ends with the process
 * and does not depend on other Praefects.
 */
export class LocalElection implements AsyncDisposable {
  readonly #options: LocalElectionOptions;
  readonly #goodChecks = new Map<GitalyNode, number>();
  #primary: GitalyNode;
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  private constructor(options: LocalElectionOptions, first: GitalyNode) {
    this.#options = options;
    this.#primary = first;
  }

  /** Starts with three checks of all nodes, then checks them at each interval. */
  static async start(options: LocalElectionOptions): Promise<LocalElection> {
    const [first] = options.nodes;
    if (first === undefined) throw new Error('a virtual storage needs a node');
    const election = new LocalElection(options, first);
    for (let check = 0; check < GOOD_CHECKS; check++) {
      if (check > 0) await new Promise((resolve) => setTimeout(resolve, options.bootstrapIntervalMs));
      await election.#check();
    }
    election.#timer = setInterval(() => {
      // A slow round is not overtaken by the next.
      election.#checking ??= election.#check().finally(() => {
        election.#checking = undefined;
      });
    }, options.monitorIntervalMs).unref();
    return election;
  }

  get nodes(): readonly GitalyNode[] {
    return this.#options.nodes;
  }

  get primary(): GitalyNode {
    return this.#primary;
  }

  get healthy(): readonly GitalyNode[] {
    return this.#options.nodes.filter((node) => this.isHealthy(node));
  }

  isHealthy(node: GitalyNode): boolean {
    return (this.#goodChecks.get(node) ?? 0) >= GOOD_CHECKS;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#checking;
  }

  async #check(): Promise<void> {
    await Promise.all(
      this.#options.nodes.map(async (node) => {
        const { logger, observer, thresholds } = this.#options;
        const startedAtMs = performance.now();
        const onFailure = (error: unknown): void =>
          logger.error(
            { gitaly_storage: node.storage, gitaly_address: node.config.address, error: messageOf(error) },
            'error when pinging healthcheck',
          );
        const problem = thresholds?.problemOf(node);
        if (problem !== undefined) onFailure(problem);
        const isServing = problem === undefined && (await node.isServing(CHECK_TIMEOUT_MS, onFailure));
        observer.checked(node.storage, {
          isHealthy: isServing,
          seconds: (performance.now() - startedAtMs) / 1000,
        });
        this.#goodChecks.set(node, isServing ? (this.#goodChecks.get(node) ?? 0) + 1 : 0);
      }),
    );
    this.#elect();
    const { nodes, observer, virtualStorage } = this.#options;
    observer.elected(
      virtualStorage,
      nodes.map(({ storage }) => storage),
      this.#primary.storage,
    );
  }

  #elect(): void {
    const { failsOver, logger, virtualStorage } = this.#options;
    if (!failsOver || this.isHealthy(this.#primary)) return;
    const [next] = this.healthy;
    if (next === undefined) return;
    logger.info(
      {
        virtual_storage: virtualStorage,
        current_primary: next.storage,
        previous_primary: this.#primary.storage,
      },
      'primary node changed',
    );
    this.#primary = next;
  }
}
