import { Readable } from 'node:stream';
import { WRITE_BUFFER_BYTES } from './write-buffer.ts';

/**
 * The requests of a call that feeds a far command: one that says what to do, then the bytes of `stdin` in pieces of at most 128 KiB.
 *
 * Stopping does not wait for `stdin`: an interactive one may never give its next byte. `stdin` is not destroyed.
 */
export class StdinRequests<T> implements AsyncIterable<T> {
  readonly #first: T;
  readonly #stdin: AsyncIterable<Uint8Array>;
  readonly #toRequest: (data: Uint8Array) => T;
  /** Why `stdin` ended early, once that is known. */
  error: unknown;

  constructor(first: T, stdin: Readable | AsyncIterable<Uint8Array>, toRequest: (data: Uint8Array) => T) {
    this.#first = first;
    this.#stdin =
      stdin instanceof Readable ? { [Symbol.asyncIterator]: () => stdin.iterator({ destroyOnReturn: false }) } : stdin;
    this.#toRequest = toRequest;
  }

  [Symbol.asyncIterator](): AsyncIterator<T, void> {
    const source = this.#stdin[Symbol.asyncIterator]();
    const stopped = Promise.withResolvers<IteratorResult<T, void>>();
    let rest: Uint8Array | undefined;
    let hasBegun = false;

    const take = async (): Promise<IteratorResult<T, void>> => {
      try {
        const chunk = rest ?? (await nextChunk(source));
        if (chunk === undefined) return { done: true, value: undefined };
        rest = chunk.byteLength > WRITE_BUFFER_BYTES ? chunk.subarray(WRITE_BUFFER_BYTES) : undefined;
        return { done: false, value: this.#toRequest(rest === undefined ? chunk : chunk.subarray(0, WRITE_BUFFER_BYTES)) };
      } catch (error) {
        this.error = error;
        throw error;
      }
    };
    return {
      next: async () => {
        if (hasBegun) return await Promise.race([take(), stopped.promise]);
        hasBegun = true;
        return { done: false, value: this.#first };
      },
      return: async () => {
        stopped.resolve({ done: true, value: undefined });
        void Promise.resolve(source.return?.()).catch(() => {}); // nobody listens any more
        return { done: true, value: undefined };
      },
    };
  }
}

async function nextChunk(source: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  for (;;) {
    const result = await source.next();
    if (result.done === true) return undefined;
    if (result.value.byteLength > 0) return result.value;
  }
}
