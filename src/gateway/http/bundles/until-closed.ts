import type { Writable } from 'node:stream';
import { prematureClose } from '#base/streams/copy-stream';

/** Waits for work on a response, unless that is closed before: then its callbacks may never come. */
export class UntilClosed implements Disposable {
  readonly #response: Writable;
  readonly #closed = Promise.withResolvers<never>();
  readonly #onClose = (): void => this.#closed.reject(this.#response.errored ?? prematureClose());

  constructor(response: Writable) {
    this.#response = response;
    this.#closed.promise.catch(() => {}); // also awaited below
    response.once('close', this.#onClose);
    if (response.destroyed) this.#onClose();
  }

  /** Resolves when the bytes are with the system. @throws as {@link wait}. */
  write(piece: Uint8Array): Promise<void> {
    return this.wait(
      new Promise((resolve, reject) => {
        this.#response.write(piece, (error) => (error ? reject(error) : resolve()));
      }),
    );
  }

  /** @throws the error of the work or of the response; ERR_STREAM_PREMATURE_CLOSE if the client left. */
  wait(work: Promise<void>): Promise<void> {
    const first = Promise.race([work, this.#closed.promise]);
    first.catch(() => {}); // it may be awaited later
    return first;
  }

  [Symbol.dispose](): void {
    this.#response.off('close', this.#onClose);
  }
}
