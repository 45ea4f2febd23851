/**
 * Messages that are added one by one and iterated once, as they arrive. The caller limits their
 * number: no sender ever waits.
 */
export class MessageQueue<T> implements AsyncIterableIterator<T, undefined> {
  #messages: T[] = [];
  #isEnded = false;
  #onMessage: ((result: IteratorResult<T, undefined>) => void) | undefined;

  get size(): number {
    return this.#messages.length;
  }

  /** Adds a message. It is dropped after the end. */
  push(value: T): void {
    if (this.#isEnded) return;
    const onMessage = this.#onMessage;
    this.#onMessage = undefined;
    if (onMessage === undefined) this.#messages.push(value);
    else onMessage({ done: false, value });
  }

  /** Ends the iteration after the messages that were added. */
  end(): void {
    this.#isEnded = true;
    this.#onMessage?.({ done: true, value: undefined });
    this.#onMessage = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** One call at a time. */
  next(): Promise<IteratorResult<T, undefined>> {
    const value = this.#messages.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#onMessage = resolve;
    });
  }

  /** Ends the iteration at once. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#messages = [];
    this.end();
    return { done: true, value: undefined };
  }
}
