import { codeOf, GitalyError, STATUS_CODES } from '#base/gitaly-error';
import { list, nothing, object, oneOf, type Shaped, text } from '#base/shape';
import type { MethodInfo } from '#wire/method-info';
import type { Supervising } from '#workers/family';
import type { Link } from '#workers/link';
import { answer, asked, protocol, type Remote, remote, told } from '#workers/protocol';
import { type NodeHealth, RecentLosses } from '../elections/node-health.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';

const nodeName = { virtualStorage: text, storage: text };
const isNodeName = object(nodeName);
type NodeName = Shaped<typeof isNodeName>;
const healthyNodes = object({ virtualStorage: text, storages: list(text) });
type HealthyNodes = Shaped<typeof healthyNodes>;

const operation = oneOf('accessor', 'mutator', 'maintenance', 'unknown');

/** The nodes, which the supervisor checks, and reports about them. */
const NODES = protocol('nodes', {
  health: asked(nothing, list(healthyNodes)),
  lost: told(isNodeName),
  failed: told(object({ ...nodeName, operation, code: oneOf(...STATUS_CODES) })),
});
/** The result of a round of checks, for workers. */
const CHECKS = protocol('checks', { checked: told(healthyNodes) });

/** Notified of calls that a node ended with an error. */
export type OnNodeError = (node: GitalyNode, operation: MethodInfo['operation'], error: unknown) => void;

export interface RemoteHealthOptions {
  readonly nodes: NodesByStorage;
  /** Every failed call counts for the health of its node, also calls that reached it. */
  readonly countsErrors: boolean;
}

/**
 * The health of the nodes in a worker: the supervisor checks them, and this process notifies it of
 * nodes that accept no calls.
 */
export class RemoteHealth implements NodeHealth, Disposable {
  readonly #nodes: Remote<typeof NODES>;
  readonly #options: RemoteHealthOptions;
  readonly #losses = new RecentLosses();
  readonly #rounds = new Map<string, PromiseWithResolvers<void>>();
  #healthy: ReadonlySet<GitalyNode> = new Set();
  /** Nodes that refused a call and are not healthy again yet. */
  readonly #lost = new Set<GitalyNode>();

  private constructor(link: Link, options: RemoteHealthOptions) {
    this.#nodes = remote(link, NODES);
    this.#options = options;
    answer(link, CHECKS, { checked: (healthy) => this.#checked(healthy) });
    for (const node of this.#all) node.onDisconnect = () => this.#suspect(node);
  }

  static async open(link: Link, options: RemoteHealthOptions): Promise<RemoteHealth> {
    const health = new RemoteHealth(link, options);
    for (const each of await health.#nodes.health()) health.#checked(each);
    return health;
  }

  isHealthy(node: GitalyNode): boolean {
    return this.#healthy.has(node) && !this.#lost.has(node);
  }

  isLost(node: GitalyNode): boolean {
    return this.#lost.has(node);
  }

  lost(node: GitalyNode): void {
    this.#lost.add(node);
    this.#losses.note(node);
    this.#nodes.lost(nameOf(node));
  }

  hasLost(virtualStorage: string, withinMs: number): boolean {
    return this.#losses.has(virtualStorage, withinMs);
  }

  async nextRound(virtualStorage: string): Promise<void> {
    const round = this.#rounds.get(virtualStorage) ?? Promise.withResolvers<void>();
    this.#rounds.set(virtualStorage, round);
    await round.promise;
  }

  readonly onNodeError: OnNodeError = (node, operation, error) => {
    const code = codeOf(error) ?? 'UNKNOWN';
    if (code !== 'UNAVAILABLE' && !this.#options.countsErrors) return;
    this.#nodes.failed({ ...nameOf(node), operation, code });
  };

  [Symbol.dispose](): void {
    for (const node of this.#all) node.onDisconnect = () => {};
  }

  get #all(): readonly GitalyNode[] {
    return [...this.#options.nodes.values()].flat();
  }

  #suspect(node: GitalyNode): void {
    if (this.isHealthy(node)) this.onNodeError(node, 'unknown', new GitalyError('UNAVAILABLE', 'closed'));
  }

  #checked({ storages, virtualStorage }: HealthyNodes): void {
    const healthy = new Set(this.#healthy);
    for (const node of this.#options.nodes.get(virtualStorage) ?? []) {
      const isHealthy = storages.includes(node.storage);
      if (isHealthy) this.#lost.delete(node);
      else if (this.#healthy.has(node)) this.#losses.note(node);
      if (isHealthy) healthy.add(node);
      else healthy.delete(node);
    }
    this.#healthy = healthy;
    this.#rounds.get(virtualStorage)?.resolve();
    this.#rounds.delete(virtualStorage);
  }
}

export interface SharedHealth {
  readonly nodes: NodesByStorage;
  readonly health: NodeHealth;
  readonly onNodeError: OnNodeError;
}

/** Sends the results of this process's checks to workers, and receives what workers notice. */
export function shareHealth(
  { desk, serving }: Supervising,
  { health, nodes, onNodeError }: SharedHealth,
): void {
  const healthyOf = (virtualStorage: string): HealthyNodes => ({
    virtualStorage,
    storages: (nodes.get(virtualStorage) ?? [])
      .filter((node) => health.isHealthy(node))
      .map(({ storage }) => storage),
  });
  const find = ({ storage, virtualStorage }: NodeName): GitalyNode | undefined =>
    nodes.get(virtualStorage)?.find((node) => node.storage === storage);
  answer(desk, NODES, {
    health: () => [...nodes.keys()].map(healthyOf),
    lost: (name) => {
      const node = find(name);
      if (node !== undefined) health.lost(node);
    },
    failed: ({ code, operation, ...name }) => {
      const node = find(name);
      if (node !== undefined) onNodeError(node, operation, new GitalyError(code, 'a call failed'));
    },
  });
  // Ends with the checks; the last round of them never ends.
  const follow = async (virtualStorage: string): Promise<never> => {
    for (;;) {
      await health.nextRound(virtualStorage);
      for (const { link } of serving()) remote(link, CHECKS).checked(healthyOf(virtualStorage));
    }
  };
  for (const virtualStorage of nodes.keys()) void follow(virtualStorage);
}

function nameOf({ config: { virtualStorage }, storage }: GitalyNode): NodeName {
  return { virtualStorage, storage };
}
