/** Steps of a doubling: a quantile is at most 9 % too large. */
const STEPS = 8;
/** Up to half an hour. */
const SIZE = STEPS * 21;

/** Counts durations in steps that grow, for quantiles. */
export class Latencies {
  readonly #counts = new Uint32Array(SIZE);
  #total = 0;

  /** Adds a duration. @param ms below 1 ms they count as one. */
  add(ms: number): void {
    const step = Math.ceil(Math.log2(Math.max(1, ms)) * STEPS);
    const index = Math.min(step, SIZE - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total++;
  }

  /** Returns the duration in milliseconds that a share of the durations does not exceed; 0 without any. */
  quantile(share: number): number {
    let rest = share * this.#total;
    if (this.#total === 0) return 0;
    const index = this.#counts.findIndex((count) => {
      rest -= count;
      return rest <= 0;
    });
    return 2 ** (index / STEPS);
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
