import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { type RepositoryEvent, watchEvents } from '#client/watch-events';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Move of a reference; no value: it was not there. */
export interface Move {
  /** One character per byte. */
  readonly reference: string;
  readonly oldValue: string | undefined;
  readonly newValue: string | undefined;
}

/** A move that a node has reported. */
interface ReportedMove extends Move {
  /** Of the node's event. */
  readonly sequence: number;
}

/** Per node, for the repositories that had moves last. */
const MAX_REPOSITORIES = 1000;
const MAX_MOVES = 256;
const RETRY_MS = 10_000;

/**
 * The last moves of references that the feeds of the nodes report. They show values between two
 * looks at the references. A node without a feed reports none.
 */
export class NodeEvents implements AsyncDisposable {
  readonly #ending = new AbortController();
  readonly #moves = new Map<GitalyNode, Map<string, ReportedMove[]>>();
  readonly #running: Promise<void>[];

  constructor(nodes: readonly GitalyNode[]) {
    this.#running = nodes.map((node) => this.#follow(node));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running);
  }

  /**
   * Returns the moves of a reference on a node that lead from one value to another, the fewest;
   * `undefined` if they are not known.
   */
  between(
    node: GitalyNode,
    replicaPath: string,
    { newValue, oldValue, reference }: Move,
  ): readonly ReportedMove[] | undefined {
    const moves = this.#moves
      .get(node)
      ?.get(replicaPath)
      ?.filter((move) => move.reference === reference);
    const end = moves?.findLastIndex((move) => move.newValue === newValue) ?? -1;
    for (let start = end; moves !== undefined && start >= 0; start--) {
      const [move, previous] = [moves[start], moves[start - 1]];
      if (move?.oldValue === oldValue) return moves.slice(start, end + 1);
      if (previous?.newValue !== move?.oldValue) return undefined;
    }
    return undefined;
  }

  /** Reports whether a node has a feed that is read. */
  isFollowed(node: GitalyNode): boolean {
    return this.#moves.has(node);
  }

  async #follow(node: GitalyNode): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const moves = new Map<string, ReportedMove[]>();
      try {
        const { connection, storage: storageName } = node;
        this.#moves.set(node, moves);
        for await (const event of watchEvents(connection, { storageName, fromNow: true, signal }))
          keep(moves, event);
      } catch (error) {
        if (!(error instanceof GitalyError)) throw error;
      }
      this.#moves.delete(node); // some are missing
      await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
    }
  }
}

function keep(moves: Map<string, ReportedMove[]>, event: RepositoryEvent): void {
  const { kind, newValue, oldValue, reference, relativePath } = event;
  if (kind !== 'reference' || reference === undefined) {
    if (relativePath === '') moves.clear();
    else moves.delete(relativePath);
    return;
  }
  const ofRepository = moves.get(relativePath) ?? [];
  ofRepository.push({
    reference: reference.toString('latin1'),
    oldValue,
    newValue,
    sequence: Number(event.sequence),
  });
  if (ofRepository.length > 2 * MAX_MOVES) ofRepository.splice(0, MAX_MOVES);
  // The one with the last move is removed last.
  moves.delete(relativePath);
  moves.set(relativePath, ofRepository);
  const [first] = moves.keys();
  if (moves.size > MAX_REPOSITORIES && first !== undefined) moves.delete(first);
}
