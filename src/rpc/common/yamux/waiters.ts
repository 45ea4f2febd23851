/** Callers that wait for something, first come, first served. */
export class Waiters<T> {
  readonly #resolvers = new Set<(value: T) => void>();

  get isEmpty(): boolean {
    return this.#resolvers.size === 0;
  }

  /** Waits until a place is resolved. @throws the abort reason when `signal` fires first. */
  async wait(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const onAbort = () => {
      // At once: what comes in the meantime must not be given to somebody who left.
      this.#resolvers.delete(resolve);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#resolvers.add(resolve);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the longest wait. Answers whether there was one. */
  resolveFirst(value: T): boolean {
    const [resolve] = this.#resolvers;
    if (resolve === undefined) return false;
    this.#resolvers.delete(resolve);
    resolve(value);
    return true;
  }

  /** Ends all waits. */
  resolveAll(value: T): void {
    while (this.resolveFirst(value));
  }
}
