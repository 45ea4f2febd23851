/** Runs a function in the next iteration of the event loop, once for all requests until then. */
export class NextTurn {
  readonly #run: () => void;
  #isScheduled = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#run();
    });
  }
}
