/** Time after which reads let the event loop take its turn. */
const SLICE_MS = 2;

/**
 * The current iteration of the event loop. What was checked in it needs no second check, and reads
 * that have taken long in it must pause.
 */
export class Turn {
  #number = 0;
  #startedAt = 0;
  #isRunning = false;

  /** Returns the number of this turn, which is never used again. */
  get number(): number {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#number++;
      this.#startedAt = performance.now();
      setImmediate(this.#end);
    }
    return this.#number;
  }

  /** Reports whether reads of this turn have taken long enough. */
  get isOver(): boolean {
    return this.#isRunning && performance.now() - this.#startedAt >= SLICE_MS;
  }

  readonly #end = (): void => {
    this.#isRunning = false;
  };
}
