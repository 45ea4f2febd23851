import { NextTurn } from '#base/async/loop-turns';
import { CALLS_PER_TURN } from './connection/connection-limits.ts';

/** Starts a call. Returns false when its client has already left, which costs nothing. */
type Start = () => boolean;

/**
 * Spreads the starts of calls over iterations of the event loop when many arrive at once.
 * Connections take turns, so that a call of one client does not wait for all calls of another, and
 * calls that are reset in the meantime never start.
 */
export class CallStarts<K> {
  readonly #waiting = new Map<K, Start[]>();
  #startedThisTurn = 0;
  readonly #turn = new NextTurn(() => this.#nextTurn());

  /** Starts a call of a connection, at once if few have started in this turn. */
  add(connection: K, start: Start): void {
    this.#turn.schedule();
    if (this.#waiting.size === 0 && this.#startedThisTurn < CALLS_PER_TURN) {
      if (start()) this.#startedThisTurn++;
      return;
    }
    const waiting = this.#waiting.get(connection);
    if (waiting === undefined) this.#waiting.set(connection, [start]);
    else waiting.push(start);
  }

  #nextTurn(): void {
    this.#startedThisTurn = 0;
    while (this.#startedThisTurn < CALLS_PER_TURN) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const [connection, waiting] = next;
      // The last in the map is the last to have its turn.
      this.#waiting.delete(connection);
      if (startFirst(waiting)) this.#startedThisTurn++;
      if (waiting.length > 0) this.#waiting.set(connection, waiting);
    }
    if (this.#waiting.size > 0) this.#turn.schedule();
  }
}

/** Starts the first call whose client has not left. Returns whether there was one. */
function startFirst(waiting: Start[]): boolean {
  const at = waiting.findIndex((start) => start());
  waiting.splice(0, at === -1 ? waiting.length : at + 1);
  return at !== -1;
}
