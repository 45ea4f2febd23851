import { setTimeout as delay } from 'node:timers/promises';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, withCode } from '#base/gitaly-error';
import type { ChannelCall, Requests } from '#rpc/common/grpc/channel-call';
import { GRPC_STATUS, SIDECHANNEL_ID } from '#rpc/common/header-names';
import { Metadata } from '#rpc/common/metadata';
import type { Balancer } from '../connect/balancer.ts';
import type { Transport } from '../connect/transport.ts';
import { WaitLimit } from '../connect/wait-limit.ts';
import { CallError } from './call-error.ts';
import type { CallMetadata } from './call-metadata.ts';
import type { Invocation, ResponseStream } from './call-types.ts';
import { DirectCall } from './direct-call.ts';
import { withReadDetails } from './read-details.ts';
import { ReplayableRequests } from './replay.ts';
import { policyFor, type RetryPolicy, retryDelayMs } from './retry.ts';

/** The part of a connection that a call uses. */
export interface CallHost {
  readonly address: string;
  readonly balancer: Balancer;
  readonly metadata: CallMetadata;
  readonly retryPolicy: RetryPolicy | undefined;
  readonly defaultTimeoutMs: number | undefined;
  /** Reports whether the callback of a sidechannel has not run yet. */
  readonly isSidechannelUnused: ((id: string) => boolean) | undefined;
}

/** The attempt whose responses the caller receives. */
interface Attempt {
  readonly call: ChannelCall<unknown>;
  readonly responses: AsyncIterator<unknown, void>;
  /** The first response, if it was needed to decide that the attempt did not fail. */
  first: IteratorResult<unknown, void> | undefined;
}

/** Limit of attempts that the server did not process. They are retried for every method. */
const MAX_UNPROCESSED_ATTEMPTS = 3;

/**
 * Starts a call: waits for a connection, sends, and retries if the policy allows it. The call runs
 * even if its responses are not iterated.
 */
export function startCall(host: CallHost, invocation: Invocation): ResponseStream<unknown> {
  const transport = isForwarded(host, invocation) ? host.balancer.pick() : undefined;
  return transport === undefined
    ? new ManagedCall(host, invocation)
    : new DirectCall(host, invocation, { transport, again: () => new ManagedCall(host, invocation) });
}

/** Reports whether the call can do without a {@link ManagedCall} once a connection is open. */
function isForwarded(host: CallHost, { isRaw, options, requests }: Invocation): boolean {
  const { defaultTimeoutMs, isSidechannelUnused, retryPolicy } = host;
  const extra = retryPolicy ?? isSidechannelUnused ?? defaultTimeoutMs ?? options.signal;
  return isRaw === true && extra === undefined && isRepeatable(requests);
}

class ManagedCall implements ResponseStream<unknown> {
  readonly #host: CallHost;
  readonly #invocation: Invocation;
  readonly #deadline: Date | undefined;
  readonly #replayable: ReplayableRequests | undefined;
  readonly #opened: Promise<Attempt>;
  /** The attempt whose responses the caller receives, once it is known. */
  #answered: Attempt | undefined;
  /** The running attempt. */
  #current: ChannelCall<unknown> | undefined;
  /** Ends the wait for a connection or for the next attempt. */
  #waiting: WaitLimit | undefined;
  #cancelReason: GitalyError | undefined;

  constructor(host: CallHost, invocation: Invocation) {
    const { options, requests } = invocation;
    this.#host = host;
    this.#invocation = invocation;
    this.#deadline = earliest(
      options.deadline,
      options.timeoutMs ?? (options.deadline ? undefined : host.defaultTimeoutMs),
    );
    this.#replayable =
      isRepeatable(requests) || invocation.isRaw === true ? undefined : new ReplayableRequests(requests);
    this.#opened = this.#open();
    // iterating reports the failure to the caller
    this.#opened.catch(() => void this.#replayable?.close());
  }

  get headers(): Promise<Metadata> {
    return handled(this.#opened.then(({ call }) => call.headers).catch((error) => this.#fail(error)));
  }

  get trailers(): Promise<Metadata> {
    return handled(this.#opened.then(({ call }) => call.trailers).catch((error) => this.#fail(error)));
  }

  cancel(reason?: unknown): void {
    this.#cancelReason ??=
      reason instanceof GitalyError
        ? reason
        : new GitalyError('CANCELLED', 'context canceled', { cause: reason });
    this.#waiting?.end(this.#cancelReason);
    this.#current?.cancel(this.#cancelReason);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, void, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.cancel(); // the loop was left early
        return { done: true, value: undefined };
      },
    };
  }

  async #next(): Promise<IteratorResult<unknown, void>> {
    try {
      const attempt = this.#answered ?? (await this.#opened);
      const { first, responses } = attempt;
      attempt.first = undefined;
      return first ?? (await responses.next());
    } catch (error) {
      return await this.#fail(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    // without waiting, because the source of the requests may be waiting itself
    void this.#replayable?.close();
    await this.#opened.catch(() => {}); // iterating reports it
  }

  /** Resolves with the first attempt that the server answered. Throws the final failure. */
  async #open(): Promise<Attempt> {
    for (let attempts = 1; ; attempts++) {
      try {
        const attempt = this.#attempt(this.#host.balancer.pick() ?? (await this.#waitForTransport()));
        if (!isAnswered(await attempt.call.headers)) attempt.first = await attempt.responses.next();
        this.#replayable?.commit();
        this.#answered = attempt;
        this.#report(attempt.call);
        return attempt;
      } catch (error) {
        const delayMs = this.#repeatDelayMs(error, attempts);
        if (delayMs === undefined) throw error;
        await this.#wait((signal) => delay(delayMs, undefined, { signal }));
      }
    }
  }

  /** Returns the delay before the next attempt; `undefined` if the failure is final. */
  #repeatDelayMs(error: unknown, attempt: number): number | undefined {
    if (!(error instanceof GitalyError) || this.#cancelReason !== undefined) return undefined;
    if (this.#replayable?.canReplay === false) return undefined;
    if (this.#invocation.isRaw === true && !isRepeatable(this.#invocation.requests)) return undefined;
    if (this.#hasUsedSidechannel()) return undefined;
    if (error.metadata.unprocessed === true && attempt < MAX_UNPROCESSED_ATTEMPTS) return 0;
    return retryDelayMs(policyFor(this.#host.retryPolicy, this.#invocation.method), {
      attempt,
      code: error.code,
    });
  }

  #attempt(transport: Transport): Attempt {
    const { isRaw, method, options, requests } = this.#invocation;
    if (this.#cancelReason !== undefined) throw this.#cancelReason;

    const messages = this.#replayable?.attempt() ?? requests;
    const callOptions = {
      metadata: this.#host.metadata.of(options),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(this.#deadline === undefined ? {} : { deadline: this.#deadline }),
    };
    // The typed functions accept requests of the method's input; the type is erased here.
    const call: ChannelCall<unknown> =
      isRaw === true
        ? transport.channel.invokeRaw(method, messages as Requests<Uint8Array>, callOptions)
        : transport.channel.invoke(method, messages as Requests<MessageInitShape<DescMessage>>, callOptions);
    this.#current = call;
    transport.hold();
    void call.trailers.then(() => transport.release());
    return { call, responses: call[Symbol.asyncIterator](), first: undefined };
  }

  /** Waits for a connection. If it throws, nothing was sent. */
  async #waitForTransport(): Promise<Transport> {
    try {
      return await this.#wait((signal) => this.#host.balancer.waitForTransport(signal));
    } catch (error) {
      if (!(error instanceof GitalyError) || error.code !== 'UNAVAILABLE') throw error;
      throw new GitalyError(error.code, error.message, {
        cause: error.cause ?? error,
        metadata: { ...error.metadata, unsent: true },
      });
    }
  }

  /**
   * Reports whether the call's own stream of bytes was started: it cannot be read or written again.
   */
  #hasUsedSidechannel(): boolean {
    const { isSidechannelUnused } = this.#host;
    if (isSidechannelUnused === undefined) return false;
    const id = Metadata.from(this.#invocation.options.metadata).get(SIDECHANNEL_ID);
    return typeof id === 'string' && !isSidechannelUnused(id);
  }

  /** Waits for work before the call is sent, at most until the call's deadline. */
  async #wait<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#cancelReason !== undefined) throw this.#cancelReason;
    const limit = new WaitLimit({ signal: this.#invocation.options.signal, deadline: this.#deadline });
    this.#waiting = limit;
    try {
      return await limit.run(work);
    } finally {
      this.#waiting = undefined;
    }
  }

  #report(call: ChannelCall<unknown>): void {
    const { onHeaders, onTrailers } = this.#invocation.options;
    if (onHeaders !== undefined) void call.headers.then(onHeaders);
    if (onTrailers === undefined && this.#replayable === undefined) return;
    void call.trailers.then((trailers) => {
      onTrailers?.(trailers);
      void this.#replayable?.close();
    });
  }

  async #fail(error: unknown): Promise<never> {
    if (error instanceof CallError) throw error;
    const trailers = await this.#current?.trailers;
    const { operation, path: rpc } = this.#invocation.method;
    throw new CallError(await withReadDetails(this.#withAbortReason(withCode(error, 'UNKNOWN'))), {
      rpc,
      operation,
      address: this.#host.address,
      isSpent: this.#hasUsedSidechannel(),
      ...(trailers === undefined ? {} : { trailers }),
    });
  }

  #withAbortReason(error: GitalyError): GitalyError {
    const { signal } = this.#invocation.options;
    if (error.code !== 'CANCELLED' || signal?.aborted !== true || error === signal.reason) return error;
    return new GitalyError('CANCELLED', error.message, { cause: signal.reason });
  }
}

/**
 * Reports whether these are response headers. Without them (no data, or only a status) the attempt
 * has failed.
 */
function isAnswered(headers: Metadata): boolean {
  return !headers.isEmpty && !headers.has(GRPC_STATUS);
}

/** Reports whether iterating again yields the same messages, which is known only of arrays. */
function isRepeatable(requests: Invocation['requests']): boolean {
  return Array.isArray(requests);
}

function earliest(deadline: Date | undefined, timeoutMs: number | undefined): Date | undefined {
  if (timeoutMs === undefined) return deadline;
  const byTimeout = new Date(Date.now() + timeoutMs);
  return deadline === undefined || byTimeout < deadline ? byTimeout : deadline;
}

/** Marks a promise as handled, so that its rejection may be ignored. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
