import type { Readable } from 'node:stream';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import { WRITE_BUFFER_BYTES } from './write-buffer.ts';

/**
 * The requests of a call that feeds a remote command: a header, then the bytes of `stdin` in pieces
 * of at most 128 KiB.
 *
 * Stopping does not wait for `stdin`, which may be interactive and never yield another byte.
 * `stdin` is not destroyed.
 */
export class StdinRequests<T> implements AsyncIterable<T> {
  readonly #first: T;
  readonly #stdin: Readable | AsyncIterable<Uint8Array>;
  readonly #toRequest: (data: Uint8Array) => T;
  /** The error that ended `stdin` early, once it is known. */
  error: unknown;

  constructor(first: T, stdin: Readable | AsyncIterable<Uint8Array>, toRequest: (data: Uint8Array) => T) {
    this.#first = first;
    this.#stdin = stdin;
    this.#toRequest = toRequest;
  }

  [Symbol.asyncIterator](): AsyncIterator<T, void> {
    const chunks = stoppableChunks(this.#stdin);
    let rest: Uint8Array | undefined;
    let hasBegun = false;

    const next = async (): Promise<IteratorResult<T, void>> => {
      if (!hasBegun) {
        hasBegun = true;
        return { done: false, value: this.#first };
      }
      const chunk = rest ?? (await this.#take(chunks));
      if (chunk === undefined) return { done: true, value: undefined };
      rest = chunk.byteLength > WRITE_BUFFER_BYTES ? chunk.subarray(WRITE_BUFFER_BYTES) : undefined;
      return {
        done: false,
        value: this.#toRequest(rest === undefined ? chunk : chunk.subarray(0, WRITE_BUFFER_BYTES)),
      };
    };
    const stop = async (): Promise<IteratorResult<T, void>> => {
      await chunks.return?.();
      return { done: true, value: undefined };
    };
    return { next, return: stop };
  }

  async #take(chunks: AsyncIterator<Uint8Array, void>): Promise<Uint8Array | undefined> {
    try {
      const result = await chunks.next();
      return result.done === true ? undefined : result.value;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}
