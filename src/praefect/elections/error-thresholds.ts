import { quote } from '#base/go/quote';
import type { MethodInfo } from '#wire/method-info';
import type { PraefectConfig } from '../config/schema.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

type Kind = 'read' | 'write';

/**
 * Counts failed calls of each node. A node that fails too many calls within a time counts as
 * unhealthy until these calls are older than that.
 */
export class ErrorThresholds {
  readonly #windowMs: number;
  readonly #counts: Readonly<Record<Kind, number>>;
  /** Times of the last errors; as many as the threshold needs. */
  readonly #errors: Readonly<Record<Kind, Map<GitalyNode, number[]>>> = {
    read: new Map(),
    write: new Map(),
  };
  readonly #now: () => number;

  /** @param now the time in milliseconds. */
  constructor(
    { windowMs, reads, writes }: { windowMs: number; reads: number; writes: number },
    now: () => number = () => performance.now(),
  ) {
    this.#windowMs = windowMs;
    this.#counts = { read: reads, write: writes };
    this.#now = now;
  }

  /** Returns `undefined` if the configuration sets none. */
  static of({ failover }: PraefectConfig): ErrorThresholds | undefined {
    const windowMs = failover.errorThresholdWindowMs;
    if (!failover.enabled || windowMs === 0) return undefined;
    return new ErrorThresholds({
      windowMs,
      reads: failover.readErrorThresholdCount,
      writes: failover.writeErrorThresholdCount,
    });
  }

  /** Counts a call that a node ended with an error. */
  count(node: GitalyNode, operation: MethodInfo['operation']): void {
    if (operation !== 'accessor' && operation !== 'mutator') return;
    const kind = operation === 'accessor' ? 'read' : 'write';
    const recent = [...this.#recent(node, kind), this.#now()].slice(-this.#counts[kind]);
    this.#errors[kind].set(node, recent);
  }

  /** Returns the reason for which a node is unhealthy; `undefined` if it is not. */
  problemOf(node: GitalyNode): string | undefined {
    for (const kind of ['read', 'write'] as const)
      if (this.#recent(node, kind).length >= this.#counts[kind])
        return `${kind} error threshold reached for storage ${quote(node.storage)}`;
    return undefined;
  }

  #recent(node: GitalyNode, kind: Kind): readonly number[] {
    const oldest = this.#now() - this.#windowMs;
    return (this.#errors[kind].get(node) ?? []).filter((time) => time >= oldest);
  }
}
