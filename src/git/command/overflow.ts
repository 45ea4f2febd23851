import { availableParallelism } from 'node:os';
import { FallBackToGit } from './in-process.ts';

/** Pieces of work on the event loop at once. git does further ones. */
const MAX_IN_PROCESS = 2;

export const OTHERS_FIRST = new FallBackToGit('the event loop has others first');

/**
 * Shares a kind of work, which costs git hardly more processor time, between the event loop and
 * git: the loop has one processor, so that many clients would wait for each other.
 */
export class Overflow {
  #inProcess = 0;
  #gits = 0;

  /** Reports whether the loop has enough to do, and a further git finds a processor. */
  get isFull(): boolean {
    return this.#inProcess >= MAX_IN_PROCESS && this.#gits < availableParallelism();
  }

  /** Counts a piece of work on the loop until its end. */
  startInProcess(): Disposable {
    this.#inProcess++;
    return { [Symbol.dispose]: () => void this.#inProcess-- };
  }

  /** Counts a git until its end. */
  startGit(): Disposable {
    this.#gits++;
    return { [Symbol.dispose]: () => void this.#gits-- };
  }
}
