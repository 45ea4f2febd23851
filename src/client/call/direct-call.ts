import { GitalyError, withCode } from '#base/gitaly-error';
import type { ChannelCall, Requests } from '#rpc/common/grpc/channel-call';
import { GRPC_STATUS } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import type { Transport } from '../connect/transport.ts';
import { CallError } from './call-error.ts';
import type { CallMetadata } from './call-metadata.ts';
import type { Invocation, ResponseStream } from './call-types.ts';
import { withReadDetails } from './read-details.ts';

/** The part of a connection that a direct call uses. */
export interface DirectCallHost {
  readonly address: string;
  readonly metadata: CallMetadata;
}

export interface DirectCallOptions {
  /** The connection, which is open when the call starts. */
  readonly transport: Transport;
  /** Starts the same call again, and waits for a connection. */
  readonly again: () => ResponseStream<unknown>;
}

/**
 * A call of encoded messages that starts at once on an open connection. It is started again only if
 * the server did not process it. It creates far fewer promises than a call that waits and retries,
 * which matters in a proxy.
 */
export class DirectCall implements ResponseStream<unknown>, AsyncIterator<unknown, void> {
  readonly #host: DirectCallHost;
  readonly #invocation: Invocation;
  readonly #again: DirectCallOptions['again'];
  readonly #call: ChannelCall<Buffer>;
  readonly #responses: AsyncIterator<Buffer, void>;
  #isAnswered = false;
  #isCanceled = false;
  #trailers: Metadata | undefined;
  /** The second attempt, if the server refused to process the first. */
  #second: { readonly call: ResponseStream<unknown>; readonly responses: AsyncIterator<unknown> } | undefined;

  constructor(host: DirectCallHost, invocation: Invocation, { again, transport }: DirectCallOptions) {
    const { method, options, requests } = invocation;
    this.#host = host;
    this.#invocation = invocation;
    this.#again = again;
    const metadata = host.metadata.of(options); // may throw, and then nothing is held
    transport.hold();
    // Raw requests are encoded messages.
    this.#call = transport.channel.invokeRaw(method, requests as Requests<Uint8Array>, {
      metadata,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
      onHeaders: (headers) => this.#onHeaders(headers),
      onEnd: (trailers, failure) => {
        this.#trailers = trailers;
        transport.release();
        if (this.#isAnswered || failure === undefined) options.onTrailers?.(trailers);
      },
    });
    this.#responses = this.#call[Symbol.asyncIterator]();
  }

  get headers(): Promise<Metadata> {
    return this.#second?.call.headers ?? this.#call.headers;
  }

  get trailers(): Promise<Metadata> {
    return this.#second?.call.trailers ?? this.#call.trailers;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown, void>> {
    if (this.#second !== undefined) return await this.#second.responses.next();
    try {
      return await this.#responses.next();
    } catch (error) {
      if (!this.#mayStartAgain(error)) throw await this.#callError(error);
    }
    const call = this.#again();
    const responses = call[Symbol.asyncIterator]();
    this.#second = { call, responses };
    return await responses.next();
  }

  async return(): Promise<IteratorResult<unknown, void>> {
    this.cancel(); // the loop was left early
    return { done: true, value: undefined };
  }

  cancel(reason?: unknown): void {
    this.#isCanceled = true;
    this.#second?.call.cancel(reason);
    this.#call.cancel(
      reason instanceof GitalyError
        ? reason
        : new GitalyError('CANCELLED', 'context canceled', { cause: reason }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
  }

  /**
   * Passes headers on to the caller. Headers with a status belong to a failed call, and are not
   * passed on.
   */
  #onHeaders(headers: Metadata): void {
    if (headers.has(GRPC_STATUS)) return;
    this.#isAnswered = true;
    this.#invocation.options.onHeaders?.(headers);
  }

  #mayStartAgain(error: unknown): boolean {
    const isUnprocessed = error instanceof GitalyError && error.metadata.unprocessed === true;
    return isUnprocessed && !this.#isAnswered && !this.#isCanceled;
  }

  async #callError(error: unknown): Promise<CallError> {
    const { operation, path: rpc } = this.#invocation.method;
    return new CallError(await withReadDetails(withCode(error, 'UNKNOWN')), {
      rpc,
      operation,
      address: this.#host.address,
      ...(this.#trailers === undefined ? {} : { trailers: this.#trailers }),
    });
  }
}
