import { abortable } from '#base/async/abortable';
import { waitAtMost } from '#base/async/wait-at-most';
import { codeOf, messageOf, prefixed } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { Database } from '../database/database.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import { CheckRounds } from './check-rounds.ts';
import type { ElectionObserver } from './election-observer.ts';
import { GoneNodes } from './gone-nodes.ts';
import { type NodeHealth, RecentLosses } from './node-health.ts';
import { recordStatus } from './node-status.ts';

const INTERVAL_MS = 1000;
const CHECK_TIMEOUT_MS = 1000;
/** Limit of one update of the database. */
const UPDATE_TIMEOUT_MS = 5000;

export interface HealthManagerOptions {
  readonly database: Database;
  readonly nodes: NodesByStorage;
  /** Name of this Praefect among all that share the database. */
  readonly praefectName: string;
  readonly logger: Logger;
  readonly observer: Pick<ElectionObserver, 'checked'>;
}

/**
 * Checks every second which nodes are healthy. This Praefect routes by its own result; the database
 * gets it for the consensus, which decides elections.
 */
export class HealthManager implements AsyncDisposable, NodeHealth {
  readonly #options: HealthManagerOptions;
  readonly #updated = Promise.withResolvers<void>();
  readonly #gone = new GoneNodes();
  readonly #losses = new RecentLosses();
  #healthy: ReadonlySet<GitalyNode> = new Set();
  readonly #rounds: CheckRounds;

  /** Starts the checks. Nodes are unhealthy until the first has ended. */
  constructor(options: HealthManagerOptions) {
    this.#options = options;
    for (const node of [...options.nodes.values()].flat()) node.onDisconnect = () => this.#suspect(node);
    this.#rounds = new CheckRounds({
      run: () => this.#checkAll(),
      intervalMs: () => INTERVAL_MS,
      startsAtOnce: true,
    });
  }

  /** Resolves when the database has the first results. */
  async updated(signal: AbortSignal): Promise<void> {
    const stopped = (): Error => new Error('stopped before the nodes were checked');
    await abortable(this.#updated.promise, signal, stopped);
  }

  isHealthy(node: GitalyNode): boolean {
    return this.#healthy.has(node);
  }

  lost(node: GitalyNode): void {
    this.#suspect(node);
    this.#setHealthy([...this.#healthy].filter((each) => each !== node));
  }

  hasLost(virtualStorage: string, withinMs: number): boolean {
    return this.#losses.has(virtualStorage, withinMs);
  }

  async nextRound(): Promise<void> {
    await this.#rounds.ended;
  }

  /** Notifies of a call that a node ended with an error. */
  callFailed(node: GitalyNode, error: unknown): void {
    if (codeOf(error) === 'UNAVAILABLE') this.#suspect(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rounds[Symbol.asyncDispose]();
  }

  /** Checks a healthy node before its next regular check. */
  #suspect(node: GitalyNode): void {
    if (this.isHealthy(node)) this.#rounds.soon();
  }

  async #checkAll(): Promise<void> {
    const { logger, nodes } = this.#options;
    // Every Praefect locks the rows in this order.
    const all = [...nodes.values()].flat().sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    const results = await Promise.all(all.map((node) => this.#isServing(node)));
    this.#setHealthy(all.filter((_, index) => results[index]));
    try {
      await this.#update(all);
      this.#updated.resolve();
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'checking health failed');
    }
  }

  #setHealthy(nodes: readonly GitalyNode[]): void {
    const healthy = new Set(nodes);
    for (const node of this.#healthy) if (!healthy.has(node)) this.#losses.note(node);
    this.#healthy = healthy;
  }

  async #isServing(node: GitalyNode): Promise<boolean> {
    let problem: unknown;
    const startedMs = performance.now();
    const isServing = await node.isServing(CHECK_TIMEOUT_MS, (error) => {
      problem = error;
      this.#options.logger.error(
        {
          error: messageOf(error),
          virtual_storage: node.config.virtualStorage,
          storage: node.storage,
        },
        'failed checking node health',
      );
    });
    const seconds = (performance.now() - startedMs) / 1000;
    this.#options.observer.checked(node.storage, { isHealthy: isServing, seconds });
    this.#gone.checked(node, problem);
    return isServing;
  }

  async #update(all: readonly GitalyNode[]): Promise<void> {
    const { database, praefectName } = this.#options;
    const statuses = all.map((node) => ({
      virtualStorage: node.config.virtualStorage,
      storage: node.storage,
      isServing: this.#healthy.has(node),
      isGone: this.#gone.has(node),
    }));
    const update = database.run(recordStatus(praefectName, statuses));
    await waitAtMost(update, UPDATE_TIMEOUT_MS, tooLate).catch(prefixed('update checks'));
  }
}

function tooLate(): never {
  throw new Error('context deadline exceeded');
}

function nameOf({ config, storage }: GitalyNode): string {
  return `${config.virtualStorage}\0${storage}`;
}
