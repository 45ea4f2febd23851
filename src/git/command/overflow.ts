import { availableParallelism } from 'node:os';
import { timeLeftMs } from '#base/async/time-left';
import { FallBackToGit } from './in-process.ts';

/** Pieces of work on the event loop at once. */
const MAX_ON_LOOP = 2;
/** One processor is left to the loop. */
const MAX_GITS = Math.max(1, availableParallelism() - 1);
/** Work that has waited for the loop as long as this is left to git, if a processor is free. */
const PATIENCE_MS = 10;
/** Shorter work waits for the loop, which needs as long to start a git and to read its answer. */
const WORTH_MS = 3;
/** Work that takes longer does not delay other work any further. */
const LONG_MS = 50;
/** Number of the pieces of work that the mean follows. */
const LATEST = 32;

export const OTHERS_FIRST = new FallBackToGit('the event loop has others first');

/** Where a piece of work is done. Disposing ends it. */
export interface Place extends Disposable {
  readonly isOnLoop: boolean;
  /** Counts the work as git's from now on, because only git can do it. */
  moveToGit(): void;
}

interface Waiting {
  readonly sinceMs: number;
  readonly start: (place: Place) => void;
}

/**
 * Shares a kind of work, which costs git hardly more processor time, between the event loop and
 * git: the loop has one processor, so that many clients would wait for each other. Work waits for
 * its turn, because pieces of work that run at once all end late.
 */
export class Overflow {
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  /** Of the time that work has taken on the loop lately. */
  #meanMs = 0;
  #onLoop = 0;
  #gits = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Waits for a place. @throws the signal's reason. */
  async place(signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Place>();
    const waiting: Waiting = { sinceMs: performance.now(), start: resolve };
    const leave = (): void => {
      if (this.#waiting.delete(waiting)) reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#waiting.add(waiting);
    this.#serve();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #serve(): void {
    clearTimeout(this.#timer);
    for (const waiting of this.#waiting) {
      const isLoopFree = this.#onLoop < MAX_ON_LOOP;
      if (!isLoopFree) {
        if (this.#gits >= MAX_GITS || this.#meanMs < WORTH_MS) return;
        const leftMs = timeLeftMs(waiting.sinceMs + PATIENCE_MS);
        if (leftMs > 0) {
          this.#timer = setTimeout(() => this.#serve(), leftMs);
          return;
        }
      }
      this.#waiting.delete(waiting);
      waiting.start(isLoopFree ? this.#startOnLoop() : this.#startGit());
    }
  }

  #startOnLoop(): Place {
    this.#onLoop++;
    const startMs = performance.now();
    const leave = once(() => {
      clearTimeout(timer);
      this.#meanMs += (performance.now() - startMs - this.#meanMs) / LATEST;
      this.#onLoop--;
      this.#serve();
    });
    const timer = setTimeout(leave, LONG_MS);
    let git: Place | undefined;
    return {
      isOnLoop: true,
      moveToGit: () => {
        git ??= this.#startGit();
        leave();
      },
      [Symbol.dispose]: () => {
        git?.[Symbol.dispose]();
        leave();
      },
    };
  }

  #startGit(): Place {
    this.#gits++;
    const leave = once(() => {
      this.#gits--;
      this.#serve();
    });
    return { isOnLoop: false, moveToGit: () => undefined, [Symbol.dispose]: leave };
  }
}

/** Returns a function that calls another one the first time that it is called. */
function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
}
