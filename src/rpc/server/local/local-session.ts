import { AsyncLocalStorage } from 'node:async_hooks';
import { constants } from 'node:http2';
import { BriefSet } from '#base/memory/brief-set';
import type {
  CallStream,
  CallStreamEvents,
  ClientSession,
  CommonHeaders,
  RequestHeaders,
} from '#rpc/common/grpc/client-session';
import { LocalStream } from './local-stream.ts';

/** Starts a call of a local session. */
export type StartLocalCall = (stream: LocalStream, rawHeaders: string[]) => void;

/**
 * The session of a client in the server's process: calls without HTTP/2, and without copies by the
 * system. Messages are encoded as for any client.
 */
export class LocalSession implements ClientSession {
  readonly closed: Promise<void>;
  readonly error = undefined;
  isDestroyed = false;
  isClosing = false;
  readonly #common: CommonHeaders;
  readonly #start: StartLocalCall;
  readonly #streams = new BriefSet<LocalStream>();
  /** A call does not run in the asynchronous context of its client. */
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly #onClosed: () => void;

  constructor(common: CommonHeaders, start: StartLocalCall) {
    this.#common = common;
    this.#start = start;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#onClosed = resolve;
  }

  request({ path, pairs }: RequestHeaders, events: CallStreamEvents): CallStream {
    if (this.isDestroyed || this.isClosing) throw new Error('the server has stopped');
    const stream = new LocalStream(events);
    const rawHeaders = [...this.#common.before, path, ...this.#common.after, ...pairs];
    const member = this.#streams.add(stream);
    stream.once('close', () => {
      this.#streams.delete(member);
      if (this.isClosing && this.#streams.size === 0) this.destroy();
    });
    queueMicrotask(() => this.#outside(this.#start, stream, rawHeaders));
    return stream.client;
  }

  async ping(): Promise<number> {
    const sentAtMs = performance.now();
    await new Promise(setImmediate);
    if (this.isDestroyed) throw new Error('the session is closed');
    return performance.now() - sentAtMs;
  }

  close(): void {
    this.isClosing = true;
    if (this.#streams.size === 0) this.destroy();
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    for (const stream of [...this.#streams]) stream.client.reset(constants.NGHTTP2_NO_ERROR);
    this.#onClosed();
  }
}
