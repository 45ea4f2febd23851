/** Waiting callers, first come, first served. */
export class Waiters<T> {
  readonly #resolvers = new Set<(value: T) => void>();

  get isEmpty(): boolean {
    return this.#resolvers.size === 0;
  }

  /**
   * Waits until `resolveFirst` or `resolveAll`. @throws the abort reason when `signal` fires first.
   */
  async wait(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const onAbort = () => {
      // Synchronously, so that a value is not given to an aborted waiter.
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

  /** Ends the longest wait. Returns whether there was one. */
  resolveFirst(value: T): boolean {
    const [resolve] = this.#resolvers;
    if (resolve === undefined) return false;
    this.#resolvers.delete(resolve);
    resolve(value);
    return true;
  }

  resolveAll(value: T): void {
    while (this.resolveFirst(value));
  }
}
