const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 5000;

interface Waiting<T> {
  readonly target: T;
  delayMs: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * The targets of a virtual storage, taken in turns. A target without work comes back after a delay,
 * which doubles from one second to five.
 */
export class TargetRing<T> {
  /** Number of targets. */
  readonly size: number;
  readonly #ready: Waiting<T>[];
  readonly #delayed = new Set<Waiting<T>>();
  readonly #takers: ((entry: Waiting<T> | undefined) => void)[] = [];
  #isClosed = false;

  constructor(targets: readonly T[]) {
    this.size = targets.length;
    this.#ready = targets.map((target) => ({ target, delayMs: FIRST_DELAY_MS, timer: undefined }));
  }

  /**
   * Calls `work` with one target after the other until the ring is closed.
   *
   * @param work returns whether it has done anything.
   */
  async run(work: (target: T) => Promise<boolean>): Promise<void> {
    for (;;) {
      const entry = await this.#take();
      if (entry === undefined) return;
      let hadWork = false;
      try {
        hadWork = await work(entry.target);
      } finally {
        this.#giveBack(entry, hadWork);
      }
    }
  }

  /** Ends the delay of a target that got work. */
  wake(isTarget: (target: T) => boolean): void {
    for (const entry of this.#delayed) if (isTarget(entry.target)) this.#makeReady(entry);
  }

  /** Ends all runs after their current work. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#delayed) clearTimeout(timer);
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  async #take(): Promise<Waiting<T> | undefined> {
    if (this.#isClosed) return undefined;
    return this.#ready.shift() ?? (await new Promise((resolve) => this.#takers.push(resolve)));
  }

  #giveBack(entry: Waiting<T>, hadWork: boolean): void {
    if (this.#isClosed) return;
    if (hadWork) {
      entry.delayMs = FIRST_DELAY_MS;
      this.#makeReady(entry);
      return;
    }
    this.#delayed.add(entry);
    entry.timer = setTimeout(() => this.#makeReady(entry), entry.delayMs).unref();
    entry.delayMs = Math.min(entry.delayMs * 2, MAX_DELAY_MS);
  }

  #makeReady(entry: Waiting<T>): void {
    clearTimeout(entry.timer);
    this.#delayed.delete(entry);
    const taker = this.#takers.shift();
    if (taker === undefined) this.#ready.push(entry);
    else taker(entry);
  }
}
