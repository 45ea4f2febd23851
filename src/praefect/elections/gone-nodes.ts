import { codeOf } from '#base/gitaly-error';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Checks in a row that must find no server before a node is gone: a restart may take as long as one. */
const CHECKS = 2;

/**
 * Remembers the nodes without a server: connections to them are refused or end at once. A server
 * that does not respond may only be busy, and is not one of them.
 */
export class GoneNodes {
  readonly #missed = new Map<GitalyNode, number>();

  /** Records a check. @param error of the check; `undefined` for a good one. */
  checked(node: GitalyNode, error: unknown): void {
    if (codeOf(error) !== 'UNAVAILABLE') this.#missed.delete(node);
    else this.#missed.set(node, (this.#missed.get(node) ?? 0) + 1);
  }

  has(node: GitalyNode): boolean {
    return (this.#missed.get(node) ?? 0) >= CHECKS;
  }

  /** Reports whether a node counts as gone if the next checks find no server either. */
  get isSuspected(): boolean {
    return [...this.#missed.values()].some((count) => count < CHECKS);
  }
}
