import { timerMs } from '#base/async/timer-ms';
import { codeOf, messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { MethodInfo } from '#wire/method-info';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { PRIMARY_DOWN, UnhealthyNodesError } from '../nodes/unhealthy-nodes.ts';
import { CheckRounds } from './check-rounds.ts';
import type { ElectionObserver } from './election-observer.ts';
import type { ErrorThresholds } from './error-thresholds.ts';
import { GOOD_CHECKS, NodeChecks } from './node-checks.ts';
import { type NodeHealth, RecentLosses } from './node-health.ts';
import type { VirtualStorageNodes } from './virtual-storage-nodes.ts';

/** Result of one round of health checks. */
export interface CheckedNodes {
  /** Nodes whose last check was good. */
  readonly serving: readonly GitalyNode[];
  /** Nodes whose last three checks were good. */
  readonly healthy: readonly GitalyNode[];
  /** Nodes whose server has ended. */
  readonly gone?: readonly GitalyNode[];
}

/** Time between two checks while the health of a node is about to change. */
const URGENT_INTERVAL_MS = 500;

/** Decides which node of a virtual storage is the primary. */
export interface PrimaryChoice {
  /** The primary as far as this Praefect knows; `undefined` for none. */
  readonly current: GitalyNode | undefined;
  /** Called when a round of checks has ended. */
  update(checked: CheckedNodes): Promise<void>;
  /** Returns the node that takes calls for the primary; `undefined` for none. */
  find(): Promise<GitalyNode | undefined>;
}

export interface ElectionOptions {
  readonly virtualStorage: string;
  /** In the order of the configuration; at least one. */
  readonly nodes: readonly GitalyNode[];
  readonly choice: PrimaryChoice;
  readonly bootstrapIntervalMs: number;
  readonly monitorIntervalMs: number;
  readonly logger: Logger;
  readonly observer: ElectionObserver;
  readonly thresholds?: ErrorThresholds | undefined;
}

/**
 * The health of the nodes of a virtual storage, and its one primary (strategies `local` and `sql`).
 */
export class Election implements AsyncDisposable, NodeHealth, VirtualStorageNodes {
  readonly #options: ElectionOptions;
  readonly #checks: NodeChecks;
  readonly #losses = new RecentLosses();
  #rounds: CheckRounds | undefined;

  private constructor(options: ElectionOptions) {
    this.#options = options;
    this.#checks = new NodeChecks(options);
  }

  /** Starts with three checks of all nodes, then checks them at each interval. */
  static async start(options: ElectionOptions): Promise<Election> {
    const election = new Election(options);
    for (let check = 0; check < GOOD_CHECKS; check++) {
      if (check > 0)
        await new Promise((resolve) => setTimeout(resolve, timerMs(options.bootstrapIntervalMs)));
      await election.#check();
    }
    election.#startRounds();
    return election;
  }

  get nodes(): readonly GitalyNode[] {
    return this.#options.nodes;
  }

  get healthy(): readonly GitalyNode[] {
    return this.#checks.healthy;
  }

  isHealthy(node: GitalyNode): boolean {
    return this.#checks.isHealthy(node);
  }

  async primary(): Promise<GitalyNode> {
    const primary = await this.#options.choice.find();
    if (primary === undefined || this.#checks.isLost(primary)) throw new UnhealthyNodesError(PRIMARY_DOWN);
    return primary;
  }

  lost(node: GitalyNode): void {
    this.#suspect(node);
    this.#losses.note(node);
    this.#checks.lost(node);
  }

  hasLost(_: string, withinMs: number): boolean {
    return this.#losses.has(this.#options.virtualStorage, withinMs);
  }

  async nextRound(): Promise<void> {
    await this.#rounds?.ended;
  }

  /** Notifies of a call that a node ended with an error. */
  callFailed(node: GitalyNode, operation: MethodInfo['operation'], error: unknown): void {
    this.#options.thresholds?.count(node, operation);
    if (codeOf(error) === 'UNAVAILABLE') this.#suspect(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rounds?.[Symbol.asyncDispose]();
  }

  #startRounds(): void {
    const { monitorIntervalMs: usual, nodes } = this.#options;
    const intervalMs = (): number => (this.#checks.isUrgent ? Math.min(URGENT_INTERVAL_MS, usual) : usual);
    this.#rounds = new CheckRounds({ run: () => this.#check(), intervalMs });
    for (const node of nodes) node.onDisconnect = () => this.#suspect(node);
  }

  /** Checks a node that counts as serving before its regular check. */
  #suspect(node: GitalyNode): void {
    if (this.#checks.isServing(node)) this.#rounds?.soon();
  }

  async #check(): Promise<void> {
    const { choice, logger, nodes, observer, virtualStorage } = this.#options;
    const before = this.#checks.healthy;
    const serving = await this.#checks.run();
    for (const node of before) if (!this.#checks.isHealthy(node)) this.#losses.note(node);
    try {
      await choice.update({ serving, healthy: this.#checks.healthy, gone: this.#checks.gone });
    } catch (error) {
      logger.error({ error: messageOf(error), virtual_storage: virtualStorage }, 'election failed');
    }
    observer.elected(
      virtualStorage,
      nodes.map(({ storage }) => storage),
      choice.current?.storage,
    );
  }
}
