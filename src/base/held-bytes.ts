import { GitalyError } from './gitaly-error.ts';

/** Memory for an item of a list in addition to its own bytes. */
const ITEM_BYTES = 128;

/**
 * Counts the memory of what a client streams into one call. Empty items count as well: a stream may
 * have any number of them.
 */
export class HeldBytes {
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
    this.#bytes += item.length + ITEM_BYTES;
    if (this.#bytes > this.#limit) throw new GitalyError('RESOURCE_EXHAUSTED', `too many ${this.#what}`);
  }
}
