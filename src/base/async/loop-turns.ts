/** Long computations that wait for their next iteration, first come, first served. */
const waiting: (() => void)[] = [];

/**
 * Resolves in a later iteration of the event loop, after all events that had arrived were handled.
 * Each iteration resumes one waiter, so any number of long computations delay other work by only
 * one slice at a time.
 *
 * @throws the signal's reason when it is aborted.
 */
export async function loopTurn(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(resumeNext);
  });
  signal?.throwIfAborted();
}

function resumeNext(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(resumeNext);
}

/**
 * Longest time a computation may block the event loop. A hundred such slices do not disturb calls.
 */
const SLICE_MS = 5;

/** Items that together take less than a slice, though each may take tens of microseconds. */
const ITEMS_PER_SLICE = 64;

/** A time slice that shows a long computation when to yield to the event loop. */
export class LoopSlice {
  #startedAt = performance.now();
  #items = 0;

  /** Reports whether the computation has used up its slice. */
  get isOver(): boolean {
    return performance.now() - this.#startedAt >= SLICE_MS;
  }

  /**
   * Counts an item, for computations that also wait for other things: time alone would make a short
   * one yield that has blocked nothing.
   *
   * @returns true after each 64 items if the slice is over.
   */
  isOverAfterItem(): boolean {
    return ++this.#items % ITEMS_PER_SLICE === 0 && this.isOver;
  }

  /** Waits for the next iteration if the slice is over. @throws as {@link loopTurn}. */
  async pause(signal?: AbortSignal): Promise<void> {
    if (!this.isOver) return;
    await loopTurn(signal);
    this.#startedAt = performance.now();
  }
}

/**
 * Items handled between two readings of the clock. Each takes microseconds: checking a thousand
 * object names takes less than a millisecond.
 */
const ITEMS_PER_LOOK = 256;

/**
 * Yields a list in pieces of at most 256 items, with an iteration of the event loop between them
 * when the slice is over. Use it for lists whose length a client determines and whose items are
 * handled without waiting.
 *
 * @throws as {@link loopTurn}.
 */
export async function* inTurns<T>(
  items: readonly T[],
  signal?: AbortSignal,
): AsyncGenerator<readonly T[], void, undefined> {
  if (items.length <= ITEMS_PER_LOOK) {
    if (items.length > 0) yield items;
    return;
  }
  const slice = new LoopSlice();
  for (let start = 0; start < items.length; start += ITEMS_PER_LOOK) {
    yield items.slice(start, start + ITEMS_PER_LOOK);
    await slice.pause(signal);
  }
}

/** Calls a function with each item, as {@link inTurns} yields them. @throws what it throws. */
export async function eachInTurn<T>(
  items: readonly T[],
  handle: (item: T) => void,
  signal?: AbortSignal,
): Promise<void> {
  for await (const piece of inTurns(items, signal)) for (const item of piece) handle(item);
}

/** Maps a list as {@link inTurns} yields it. @throws what `map` throws. */
export async function mapInTurns<T, R>(
  items: readonly T[],
  map: (item: T) => R,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  await eachInTurn(items, (item) => void results.push(map(item)), signal);
  return results;
}

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

/**
 * The current iteration of the event loop, for work of many calls: what was checked in it needs no
 * second check, and work that has taken long in it must wait for another one.
 */
export class LoopIteration {
  readonly #budgetMs: number;
  readonly #next = new NextTurn(() => {
    this.#startedAt = undefined;
  });
  #number = 0;
  /** When the work began in this iteration. */
  #startedAt: number | undefined;

  constructor(budgetMs = SLICE_MS) {
    this.#budgetMs = budgetMs;
  }

  /** Begins or continues the work. @returns the number of this iteration, which is never used again. */
  begin(): number {
    if (this.#startedAt === undefined) {
      this.#startedAt = performance.now();
      this.#number++;
      this.#next.schedule();
    }
    return this.#number;
  }

  /** Reports whether the work has taken long enough in this iteration. */
  get isOver(): boolean {
    return this.#startedAt !== undefined && performance.now() - this.#startedAt >= this.#budgetMs;
  }
}
