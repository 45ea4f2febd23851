import { Readable } from 'node:stream';

/**
 * A stream that accepts writes even after reading failed. The field has the reason, or `undefined`
 * if reading has not failed.
 */
export interface HasReadError {
  readonly readError: unknown;
}

/**
 * Yields the chunks of a stream that may be silent forever (a terminal), so that reading can be
 * stopped during a wait: `return` takes effect at once, leaves no listener and does not destroy the
 * stream. Empty chunks are omitted. There may be one reader. At the end the stream's `readError` is
 * thrown, if it has one.
 *
 * A source that is not a Readable is stopped with `return`, but a pending wait of the source
 * continues.
 */
export function stoppableChunks(
  source: Readable | AsyncIterable<Uint8Array>,
): AsyncIterableIterator<Uint8Array, void> {
  return source instanceof Readable ? new ReadableChunks(source) : new IterableChunks(source);
}

class ReadableChunks implements AsyncIterableIterator<Uint8Array, void> {
  readonly #stream: Readable;
  #wake: (() => void) | undefined;
  #isStopped = false;
  #isEnded = false;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('error', ignore); // `next` throws it
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    const stream = this.#stream;
    while (!this.#isStopped) {
      const chunk: Uint8Array | null = stream.read();
      if (chunk !== null && chunk.byteLength > 0) return { done: false, value: chunk };
      if (stream.errored !== null) throw stream.errored;
      if (stream.readableEnded || this.#isEnded) {
        await this.return();
        if ('readError' in stream && stream.readError !== undefined) throw stream.readError;
        break;
      }
      if (stream.destroyed)
        throw Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
      if (chunk === null) await this.#change();
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    this.#isStopped = true;
    this.#wake?.();
    this.#stream.off('error', ignore);
    return { done: true, value: undefined };
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => {
      this.#stream.off('readable', wake).off('end', onEnd).off('error', wake).off('close', wake);
      resolve();
    };
    const onEnd = () => {
      this.#isEnded = true;
      wake();
    };
    this.#wake = wake;
    this.#stream.on('readable', wake).on('end', onEnd).on('error', wake).on('close', wake);
    return promise;
  }
}

class IterableChunks implements AsyncIterableIterator<Uint8Array, void> {
  readonly #source: AsyncIterator<Uint8Array>;
  #isStopped = false;
  /**
   * Ends the current wait. It is created for each wait, because reactions on one promise for all
   * waits would accumulate.
   */
  #stop: (() => void) | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, void>> {
    if (this.#isStopped) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      // Not assigned at once (docs/decisions/0027-ended-calls-die-young.md).
      const stop = (): void => resolve({ done: true, value: undefined });
      this.#stop = stop;
      this.#take().then(resolve, reject);
    });
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    this.#isStopped = true;
    this.#stop?.();
    void this.#tellSource();
    return { done: true, value: undefined };
  }

  async #take(): Promise<IteratorResult<Uint8Array, void>> {
    for (;;) {
      const result = await this.#source.next();
      if (result.done === true) return { done: true, value: undefined };
      if (result.value.byteLength > 0) return result;
    }
  }

  async #tellSource(): Promise<void> {
    try {
      await this.#source.return?.();
    } catch {
      // its bytes are no longer needed, so its error is ignored
    }
  }
}

function ignore(): void {}
