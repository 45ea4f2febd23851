import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Which nodes take calls, as this Praefect sees it. */
export interface NodeHealth {
  isHealthy(node: GitalyNode): boolean;
  /** Notifies of a node that accepts no calls. It is unhealthy until its next good check. */
  lost(node: GitalyNode): void;
  /** Reports whether a node of the virtual storage became unhealthy in the last `withinMs`. */
  hasLost(virtualStorage: string, withinMs: number): boolean;
  /** Resolves at the end of the running round of checks of the virtual storage, or of the next one. */
  nextRound(virtualStorage: string): Promise<void>;
}

/** Remembers when nodes of each virtual storage became unhealthy. */
export class RecentLosses {
  readonly #times = new Map<string, number>();

  note({ config }: Pick<GitalyNode, 'config'>): void {
    this.#times.set(config.virtualStorage, performance.now());
  }

  has(virtualStorage: string, withinMs: number): boolean {
    const time = this.#times.get(virtualStorage);
    return time !== undefined && performance.now() - time <= withinMs;
  }
}
