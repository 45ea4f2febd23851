/** Runs pieces of work, a number of them at once; the others wait for their turn, in order. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param atOnce pieces of work that run at once. */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Runs a piece of work in its turn. @returns its result; its error is thrown. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
