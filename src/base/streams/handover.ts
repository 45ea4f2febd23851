/** The reader of a {@link Handover} has left, so written items are lost. */
export class ReaderGoneError extends Error {
  override readonly name = 'ReaderGoneError';

  constructor() {
    super('the reader has left');
  }
}

interface Offer<T> {
  readonly item: T;
  taken(): void;
  refused(error: Error): void;
}

interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Connects writers that push with one reader that pulls, without a buffer. A writer waits until its
 * item has been taken, so a slow reader slows the writers down. Items of several writers arrive in
 * the order of their `put`.
 */
export class Handover<T> implements AsyncIterableIterator<T, undefined> {
  readonly #offers: Offer<T>[] = [];
  #waiting: Waiting<T> | undefined;
  #end: { readonly error: unknown } | 'clean' | undefined;
  #readerGone = false;

  /**
   * Offers an item and resolves when the reader has taken it. @throws {ReaderGoneError} when the
   * reader has left.
   */
  put(item: T): Promise<void> {
    if (this.#readerGone || this.#end !== undefined) return Promise.reject(new ReaderGoneError());
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: item });
      return Promise.resolve();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#offers.push({ item, taken: resolve, refused: reject });
    return promise;
  }

  /**
   * Ends the sequence: the reader receives the items already offered, then the end. A second call
   * has no effect.
   */
  end(): void {
    this.#finish('clean');
  }

  /** Ends the sequence like {@link end}, but the reader receives an error at the end. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  /**
   * Returns the next item. There is one reader: it makes the next call after the promise of the
   * last one has settled.
   */
  next(): Promise<IteratorResult<T, undefined>> {
    const offer = this.#offers.shift();
    if (offer !== undefined) {
      offer.taken();
      return Promise.resolve({ done: false, value: offer.item });
    }
    if (this.#end !== undefined || this.#readerGone) return this.#atEnd();
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T, undefined>>();
    this.#waiting = { resolve, reject };
    return promise;
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#readerGone = true;
    for (const offer of this.#offers.splice(0)) offer.refused(new ReaderGoneError());
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(end: { readonly error: unknown } | 'clean'): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#atEnd().then(waiting.resolve, waiting.reject);
  }

  #atEnd(): Promise<IteratorResult<T, undefined>> {
    const end = this.#end;
    if (end === undefined || end === 'clean' || this.#readerGone)
      return Promise.resolve({ done: true, value: undefined });
    this.#readerGone = true; // an iterator throws once and then is at its end
    return Promise.reject(end.error);
  }
}
