import { LoopSlice } from '#base/async/loop-turns';
import type { GitalyError } from '#base/gitaly-error';
import type { IncomingFrames } from '#rpc/common/grpc/incoming-frames';
import type { ConnectionRequestLimits } from '../request-limits.ts';
import type { CallRoute } from '../route.ts';
import { decodeError } from './decode-error.ts';
import { MissingRequestError } from './missing-request-error.ts';

/**
 * Number of messages that are read between two looks at the clock. Ten thousand may have arrived at
 * once, and a handler may take 150 ms for 256 of them.
 */
const MESSAGES_PER_LOOK = 8;

export interface RequestReaderOwner {
  readonly route: CallRoute;
  readonly incoming: IncomingFrames;
  readonly limits: ConnectionRequestLimits;
  readonly context: { readonly signal: AbortSignal };
  /** Called with the first request. Returns it, or a promise of it if a stage waits. */
  onFirstRequest(message: unknown): unknown;
}

export class RequestReader {
  messages = 0;
  bytes = 0;
  readonly #owner: RequestReaderOwner;
  /** Gives back the memory of the request that was decoded last. */
  #release: (() => void) | undefined;
  #isClosed = false;

  constructor(owner: RequestReaderOwner) {
    this.#owner = owner;
  }

  /** Returns the request of a method with only one. */
  async only(): Promise<unknown> {
    const payload = await this.#owner.incoming.next();
    const { kind } = this.#owner.route.method;
    if (payload === undefined) throw new MissingRequestError({ isUnary: kind === 'unary' });
    // Further messages are ignored, as by the version of grpc-go in Gitaly.
    return this.#decode(payload);
  }

  /** Returns a plain iterator, because a generator would cost three promises per message. */
  all(): AsyncIterableIterator<unknown> {
    const { incoming } = this.#owner;
    let readAtOnce = 0;
    let slice: LoopSlice | undefined;
    const requests: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => requests,
      next: async () => {
        this.#forget();
        const next = incoming.next();
        if (next instanceof Promise) {
          readAtOnce = 0;
          slice = undefined;
        } else if (++readAtOnce % MESSAGES_PER_LOOK === 0) {
          // Measured by time alone, calls that have waited for something else would pause as well.
          slice ??= new LoopSlice();
          if (slice.isOver) await slice.pause();
        }
        const payload = await next;
        return payload === undefined
          ? { done: true, value: undefined }
          : { done: false, value: await this.#decode(payload) };
      },
      return: async () => {
        incoming.discard();
        return { done: true, value: undefined };
      },
    };
    return requests;
  }

  /** Releases the memory at the end of the call. */
  close(): void {
    this.#isClosed = true;
    this.#forget();
  }

  #forget(): void {
    this.#release?.();
    this.#release = undefined;
  }

  /**
   * Decodes a message. It is asynchronous only if a stage is or the message is large, so an
   * ordinary call creates no promise.
   */
  #decode(payload: Buffer): unknown {
    return this.#owner.limits.isLarge(payload) ? this.#decodeLarge(payload) : this.#decodeNow(payload);
  }

  async #decodeLarge(payload: Buffer): Promise<unknown> {
    const { context, limits, route } = this.#owner;
    const count = (limit: number): number => route.countElements(payload, limit);
    const release = await limits.admit(payload, count, context.signal);
    // The handler may have ended without waiting for it.
    if (this.#isClosed) release();
    else this.#release = release;
    let message: unknown;
    try {
      message = await route.decodeInTurns(payload);
    } catch (error) {
      throw this.#failure(error);
    }
    return this.#received(message, payload);
  }

  #decodeNow(payload: Buffer): unknown {
    let message: unknown;
    try {
      message = this.#owner.route.decode(payload);
    } catch (error) {
      throw this.#failure(error);
    }
    return this.#received(message, payload);
  }

  #failure(error: unknown): GitalyError {
    return decodeError(error, { isOnly: this.#owner.route.method.kind === 'unary' });
  }

  #received(message: unknown, { length }: Buffer): unknown {
    this.bytes += length;
    return this.messages++ > 0 ? message : this.#owner.onFirstRequest(message);
  }
}
