import { setTimeout as delay } from 'node:timers/promises';
import { abortable } from '#base/async/abortable';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { NodeHealth } from '../elections/node-health.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { UnhealthyNodesError } from '../nodes/unhealthy-nodes.ts';

/**
 * Time since the loss of a node in which writes wait for another primary, or for the return of the
 * node: enough for a restart and for an election.
 */
export const LOSS_WAIT_MS = 10_000;
/** Limit of one attempt to connect to a node. */
const CONNECT_MS = 1000;
/** Attempts to route without a wait between them. */
const MAX_ATTEMPTS = 10;

export interface ReachableNodesOptions {
  readonly health: NodeHealth;
  readonly logger: Logger;
  /** Default: {@link LOSS_WAIT_MS}. */
  readonly waitMs?: number;
}

export interface RouteSearch<R> {
  readonly virtualStorage: string;
  /** Finds a route among the nodes that are healthy now. */
  find(): Promise<R>;
  nodesOf(route: R): readonly GitalyNode[];
  /** Waits for a primary after the loss of a node. */
  readonly waits: boolean;
  /** Its signal is created on first use. Only a search that waits uses it. */
  readonly context: Pick<HandlerContext, 'signal'>;
}

/**
 * Keeps calls away from nodes that stop: nodes that have announced it, and nodes that refuse
 * connections before the next round of checks notices it.
 */
export class ReachableNodes {
  readonly #health: NodeHealth;
  readonly #logger: Logger;
  readonly #waitMs: number;

  constructor({ health, logger, waitMs = LOSS_WAIT_MS }: ReachableNodesOptions) {
    this.#health = health;
    this.#logger = logger;
    this.#waitMs = waitMs;
  }

  /**
   * Returns a route whose nodes accept calls.
   *
   * @throws the error of the last search; the signal's reason when it is aborted.
   */
  async route<R>(search: RouteSearch<R>): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      let route: R;
      try {
        route = await search.find();
      } catch (error) {
        if (!search.waits || !this.#mayPass(error, search.virtualStorage)) throw error;
        await this.#nextRound(search);
        continue;
      }
      const away = search.nodesOf(route).filter(({ isReady }) => !isReady);
      if (away.length === 0 || (await this.#reach(away)) || attempt >= MAX_ATTEMPTS) return route;
      search.context.signal.throwIfAborted();
    }
  }

  /** Reports whether all nodes accept calls; notifies of those that do not. */
  async #reach(away: readonly GitalyNode[]): Promise<boolean> {
    const found = await Promise.all(away.map((node) => this.#connect(node)));
    return !found.includes(false);
  }

  async #connect(node: GitalyNode): Promise<boolean> {
    const isServing = await node.isServing(CONNECT_MS, (error) => {
      const { virtualStorage: virtual_storage } = node.config;
      const fields = { error: messageOf(error), virtual_storage, storage: node.storage };
      this.#logger.warn(fields, 'node accepts no calls');
    });
    if (!isServing) this.#health.lost(node);
    return isServing;
  }

  #mayPass(error: unknown, virtualStorage: string): boolean {
    return error instanceof UnhealthyNodesError && this.#health.hasLost(virtualStorage, this.#waitMs);
  }

  async #nextRound({ context, virtualStorage }: RouteSearch<unknown>): Promise<void> {
    const waiting = new AbortController();
    // The checks may have ended with the server.
    const limit = delay(this.#waitMs, undefined, { signal: waiting.signal }).catch(() => {});
    try {
      await abortable(Promise.race([this.#health.nextRound(virtualStorage), limit]), context.signal);
    } finally {
      waiting.abort();
    }
  }
}
