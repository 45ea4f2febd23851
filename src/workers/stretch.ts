/** Measures for how long something has been true without a break. */
export class Stretch {
  #sinceMs: number | undefined;

  /** Notes whether it is true now. @returns for how long it has been, in milliseconds. */
  note(isTrue: boolean, nowMs: number = performance.now()): number {
    if (!isTrue) this.#sinceMs = undefined;
    else this.#sinceMs ??= nowMs;
    return this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs;
  }
}
