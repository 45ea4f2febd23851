import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeUser } from '#base/change-user';
import { GitalyError } from '#base/gitaly-error';
import { type RepositoryEvent, watchEvents } from '#client/watch-events';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Move of a reference. A missing value means that the reference did not exist. */
export interface Move {
  /** One character per byte. */
  readonly reference: string;
  readonly oldValue: string | undefined;
  readonly newValue: string | undefined;
  /** Who made the move, as far as the node knows it. */
  readonly user?: ChangeUser;
}

export interface ReportedMove extends Move {
  /** Sequence of the node's event. */
  readonly sequence: number;
}

/** Limit of repositories for each node: those whose references moved last. */
const MAX_REPOSITORIES = 1000;
/** Minimum number of moves that are kept of a repository. */
export const KEPT_MOVES = 256;
const RETRY_MS = 10_000;
/** Time for the feeds of the nodes to respond, after the start. */
const START_MS = 2000;

export interface NodeEventsOptions {
  /** Receives errors that are not those of a node. The feed is read again. */
  readonly onProblem: (error: unknown) => void;
  /** Pause before a feed is read again. */
  readonly retryMs?: number;
}

/**
 * The last moves of references that the feeds of the nodes report. They show values between two
 * looks at the references. A node without a feed reports none.
 */
export class NodeEvents implements AsyncDisposable {
  readonly #onProblem: NodeEventsOptions['onProblem'];
  readonly #retryMs: number;
  readonly #ending = new AbortController();
  readonly #moves = new Map<GitalyNode, Map<string, ReportedMove[]>>();
  readonly #last = new Map<GitalyNode, number>();
  /** Resolved when the feed of a node has responded. */
  readonly #started: ReadonlyMap<GitalyNode, PromiseWithResolvers<void>>;
  readonly #startTimer: NodeJS.Timeout;
  readonly #running: Promise<void>[];

  constructor(nodes: readonly GitalyNode[], { onProblem, retryMs = RETRY_MS }: NodeEventsOptions) {
    this.#onProblem = onProblem;
    this.#retryMs = retryMs;
    this.#started = new Map(nodes.map((node) => [node, Promise.withResolvers<void>()]));
    this.#startTimer = setTimeout(() => this.#endStart(), START_MS).unref();
    this.#running = nodes.map((node) => this.#follow(node));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#startTimer);
    this.#endStart();
    await Promise.all(this.#running);
  }

  /**
   * Returns the result of {@link stepsOf} for the moves of a repository that a node has reported.
   */
  between(
    node: GitalyNode,
    replicaPath: string,
    moves: readonly Move[],
  ): readonly (readonly ReportedMove[] | undefined)[] {
    return stepsOf(this.#moves.get(node)?.get(replicaPath) ?? [], moves);
  }

  /** Waits until the feed of a node has responded for the first time, or for a limited time. */
  async started(node: GitalyNode): Promise<void> {
    await this.#started.get(node)?.promise;
  }

  /** Reports whether a node has a feed that is read. */
  isFollowed(node: GitalyNode): boolean {
    return this.#moves.has(node);
  }

  /** Returns the sequence of the last event of a node; `undefined` before its feed has responded. */
  last(node: GitalyNode): number | undefined {
    return this.#last.get(node);
  }

  #endStart(): void {
    for (const { resolve } of this.#started.values()) resolve();
  }

  async #follow(node: GitalyNode): Promise<void> {
    const { signal } = this.#ending;
    const onCursor = (cursor: bigint): void => {
      this.#last.set(node, Number(cursor));
      this.#started.get(node)?.resolve();
    };
    while (!signal.aborted) {
      const moves = new Map<string, ReportedMove[]>();
      try {
        const { connection, storage: storageName } = node;
        this.#moves.set(node, moves);
        const options = { storageName, fromNow: true, signal, onCursor };
        for await (const event of watchEvents(connection, options)) {
          this.#last.set(node, Number(event.sequence));
          keep(moves, event);
        }
      } catch (error) {
        if (!(error instanceof GitalyError)) this.#onProblem(error); // not the end of the call alone
      }
      this.#moves.delete(node); // some are missing
      this.#started.get(node)?.resolve();
      await delay(this.#retryMs, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
    }
  }
}

/**
 * Finds for each move of a reference the reported moves that lead from its old value to the new
 * one, the fewest; `undefined` if they are not known.
 */
export function stepsOf(
  reported: readonly ReportedMove[],
  moves: readonly Move[],
): readonly (readonly ReportedMove[] | undefined)[] {
  const byReference = Map.groupBy(reported, ({ reference }) => reference);
  return moves.map((move) => steps(byReference.get(move.reference) ?? [], move));
}

/** @param reported of the same reference. */
function steps(
  reported: readonly ReportedMove[],
  { newValue, oldValue }: Move,
): readonly ReportedMove[] | undefined {
  const end = reported.findLastIndex((move) => move.newValue === newValue);
  for (let start = end; start >= 0; start--) {
    const [move, previous] = [reported[start], reported[start - 1]];
    if (move?.oldValue === oldValue) return reported.slice(start, end + 1);
    if (previous?.newValue !== move?.oldValue) return undefined;
  }
  return undefined;
}

function keep(moves: Map<string, ReportedMove[]>, event: RepositoryEvent): void {
  const { kind, newValue, oldValue, reference, relativePath, user } = event;
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
    ...(user && { user }),
    sequence: Number(event.sequence),
  });
  if (ofRepository.length > 2 * KEPT_MOVES) ofRepository.splice(0, KEPT_MOVES);
  // The one with the last move is removed last.
  moves.delete(relativePath);
  moves.set(relativePath, ofRepository);
  const [first] = moves.keys();
  if (moves.size > MAX_REPOSITORIES && first !== undefined) moves.delete(first);
}
