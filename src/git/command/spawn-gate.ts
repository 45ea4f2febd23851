import { GitalyError } from '#base/gitaly-error';
import { abortError } from './exit-error.ts';

/** A start holds the event loop for some 0.3 ms; more than these in one turn would be felt by everybody else. */
const STARTS_PER_TURN = 4;
/** Who comes when so many wait would wait for seconds. */
const MAX_WAITING = 5_000;

interface Waiting {
  readonly signal: AbortSignal | undefined;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Spreads starts of processes over turns of the event loop, first come first served, so that a burst of requests does not make the
 * server deaf. It does not limit how many processes run: that is the business of the limits on requests.
 */
export class SpawnGate {
  readonly #waiting: Waiting[] = [];
  #startedThisTurn = 0;
  #turnIsWatched = false;

  /** How many wait. */
  get queueLength(): number {
    return this.#waiting.length;
  }

  /**
   * Resolves when it is the caller's turn; the start must follow at once.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many wait; CANCELLED or DEADLINE_EXCEEDED when aborted while waiting.
   */
  async turn(signal?: AbortSignal): Promise<void> {
    this.#watchTurn();
    if (this.#startedThisTurn < STARTS_PER_TURN && this.#waiting.length === 0) {
      this.#startedThisTurn++;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING)
      throw new GitalyError('RESOURCE_EXHAUSTED', 'too many processes wait for their start');
    await new Promise<void>((go, fail) => this.#waiting.push({ signal, go, fail }));
  }

  #watchTurn(): void {
    if (this.#turnIsWatched) return;
    this.#turnIsWatched = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#turnIsWatched = false;
    this.#startedThisTurn = 0;
    while (this.#waiting.length > 0 && this.#startedThisTurn < STARTS_PER_TURN) {
      const next = this.#waiting.shift();
      if (next?.signal?.aborted === true) next.fail(abortError(next.signal));
      else {
        this.#startedThisTurn++;
        next?.go();
      }
    }
    if (this.#waiting.length > 0) this.#watchTurn();
  }
}
