import { GitalyError } from '../gitaly-error.ts';

/** Memory for an item of a list in addition to its own bytes. */
const ITEM_BYTES = 128;

/** Limit of what all calls of this process hold at once. */
export const MAX_HELD_BYTES_IN_ALL = 256 << 20;

/** The bytes that all calls hold now. */
let heldInAll = 0;

/**
 * Counts the memory of what a client streams into one call, and of what all clients stream into all
 * calls, until it is disposed. Empty items count as well: a stream may have any number of them.
 */
export class HeldBytes implements Disposable {
  readonly #limit: number;
  readonly #what: string;
  #bytes = 0;

  /** @param what names the items in the error, in the plural. */
  constructor(limit: number, what: string) {
    this.#limit = limit;
    this.#what = what;
  }

  /** Adds an item. @throws {GitalyError} RESOURCE_EXHAUSTED when there are too many. */
  add(item: { readonly length: number }): void {
    const bytes = item.length + ITEM_BYTES;
    if (this.#bytes + bytes > this.#limit)
      throw new GitalyError('RESOURCE_EXHAUSTED', `too many ${this.#what}`);
    if (heldInAll + bytes > MAX_HELD_BYTES_IN_ALL)
      throw new GitalyError('RESOURCE_EXHAUSTED', `too many ${this.#what} in all calls`);
    this.#bytes += bytes;
    heldInAll += bytes;
  }

  [Symbol.dispose](): void {
    heldInAll -= this.#bytes;
    this.#bytes = 0;
  }
}
