import { GitalyError } from '#base/gitaly-error';
import type { IncomingFrames } from '#rpc/common/grpc/incoming-frames';
import type { ConnectionRequestLimits } from '../request-limits.ts';
import type { Route } from '../route.ts';
import { decodeError } from './decode-error.ts';

/** Text of grpc-go for a call that streams responses. */
const NO_REQUEST = 'cardinality violation: received no request message from non-client-streaming RPC';

/** The call of a reader. */
export interface RequestReaderOwner {
  readonly route: Route;
  readonly incoming: IncomingFrames;
  readonly limits: ConnectionRequestLimits;
  readonly context: { readonly signal: AbortSignal };
  /** Called with the first request. Returns it, or a promise of it if a stage waits. */
  onFirstRequest(message: unknown): unknown;
}

/** Reads and decodes the requests of a call. */
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
    if (payload === undefined) throw this.#noRequest();
    // Further messages are ignored, as by the version of grpc-go in Gitaly.
    return this.#decode(payload);
  }

  /** Returns the errors of grpc-go, which reads the request of a unary call elsewhere. */
  #noRequest(): GitalyError {
    return this.#owner.route.method.kind === 'unary'
      ? new GitalyError('UNKNOWN', 'EOF')
      : new GitalyError('INTERNAL', NO_REQUEST);
  }

  /** Returns a plain iterator, because a generator would cost three promises per message. */
  all(): AsyncIterableIterator<unknown> {
    const { incoming } = this.#owner;
    const requests: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => requests,
      next: async () => {
        this.#forget();
        const payload = await incoming.next();
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

  /** Gives back memory at the end of the call. */
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
    return this.#decodeNow(payload);
  }

  #decodeNow(payload: Buffer): unknown {
    const { route } = this.#owner;
    let message: unknown;
    try {
      message = route.decode(payload);
    } catch (error) {
      throw decodeError(error, { isOnly: route.method.kind === 'unary' });
    }
    this.bytes += payload.length;
    return this.messages++ > 0 ? message : this.#owner.onFirstRequest(message);
  }
}
