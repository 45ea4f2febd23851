import type { ReportedMove } from './node-events.ts';

/** Beyond this number, the moves of each reference are joined. */
export const MAX_MOVES = 10_000;

/**
 * Moves in their order. When there are many, one move of each reference is left: from its first
 * value to the last one, in the place of its last move. So the memory that they take depends on the
 * number of references.
 */
export class CollectedMoves {
  #moves: ReportedMove[] = [];
  #count = 0;
  #joinAt = 2 * MAX_MOVES;

  /** Number of moves that were added. */
  get count(): number {
    return this.#count;
  }

  get kept(): number {
    return this.#moves.length;
  }

  add(move: ReportedMove): void {
    this.#count++;
    this.#moves.push(move);
    if (this.#moves.length <= this.#joinAt) return;
    this.#moves = joined(this.#moves);
    // With many references, the moves of one are seldom joined.
    this.#joinAt = 2 * Math.max(this.#moves.length, MAX_MOVES);
  }

  /** Returns the moves; of more than {@link MAX_MOVES} one per reference. */
  list(): readonly ReportedMove[] {
    return this.#count > MAX_MOVES ? joined(this.#moves) : this.#moves;
  }
}

function joined(moves: readonly ReportedMove[]): ReportedMove[] {
  const byReference = new Map<string, ReportedMove>();
  for (const move of moves) {
    const { reference } = move;
    const first = byReference.get(reference) ?? move;
    byReference.delete(reference); // the last one counts for the order
    byReference.set(reference, { ...move, oldValue: first.oldValue });
  }
  return [...byReference.values()];
}
