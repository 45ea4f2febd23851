import { setTimeout as delay } from 'node:timers/promises';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, withCode } from '#base/gitaly-error';
import type { ClientCall } from '#rpc/common/grpc-channel';
import { GRPC_STATUS } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import type { Balancer } from '../connect/balancer.ts';
import type { Transport } from '../connect/transport.ts';
import { WaitLimit } from '../connect/wait-limit.ts';
import { CallError } from './call-error.ts';
import { callMetadata, type MetadataSources } from './call-metadata.ts';
import type { Invocation, Requests, ResponseStream } from './call-types.ts';
import { withReadDetails } from './read-details.ts';
import { ReplayableRequests } from './replay.ts';
import { policyFor, type RetryPolicy, retryDelayMs } from './retry.ts';

/** What a call needs of its connection. */
export interface CallHost {
  readonly address: string;
  readonly balancer: Balancer;
  readonly metadata: MetadataSources;
  readonly retryPolicy: RetryPolicy | undefined;
  readonly defaultTimeoutMs: number | undefined;
}

/** The attempt of a call that counts. */
interface Attempt {
  readonly call: ClientCall<unknown>;
  readonly responses: AsyncIterator<unknown, void>;
  /** The first response, where it had to be looked at to know that the attempt did not fail. */
  first: IteratorResult<unknown, void> | undefined;
}

/** Attempts that the server says it did not look at are repeated whatever the method, but not for ever. */
const MAX_UNPROCESSED_ATTEMPTS = 3;

/**
 * Starts a call: waits for a connection, sends, and repeats the attempt where the policy allows. The call runs from now on, also
 * when nobody iterates.
 */
export function startCall(host: CallHost, invocation: Invocation): ResponseStream<unknown> {
  return new ManagedCall(host, invocation);
}

class ManagedCall implements ResponseStream<unknown> {
  readonly #host: CallHost;
  readonly #invocation: Invocation;
  readonly #deadline: Date | undefined;
  readonly #replayable: ReplayableRequests | undefined;
  readonly #opened: Promise<Attempt>;
  /** The attempt that counts, once it is known. */
  #answered: Attempt | undefined;
  /** The attempt under way. */
  #current: ClientCall<unknown> | undefined;
  /** Ends the waiting for a connection or for the next attempt. */
  #waiting: WaitLimit | undefined;
  #cancelReason: GitalyError | undefined;

  constructor(host: CallHost, invocation: Invocation) {
    const { options, requests } = invocation;
    this.#host = host;
    this.#invocation = invocation;
    this.#deadline = earliest(options.deadline, options.timeoutMs ?? (options.deadline ? undefined : host.defaultTimeoutMs));
    this.#replayable = isRepeatable(requests) ? undefined : new ReplayableRequests(requests);
    this.#opened = this.#open();
    this.#opened.catch(() => void this.#replayable?.close()); // the caller learns of the failure by iterating
  }

  get headers(): Promise<Metadata> {
    return handled(this.#opened.then(({ call }) => call.headers).catch((error) => this.#fail(error)));
  }

  get trailers(): Promise<Metadata> {
    return handled(this.#opened.then(({ call }) => call.trailers).catch((error) => this.#fail(error)));
  }

  cancel(reason?: unknown): void {
    this.#cancelReason ??=
      reason instanceof GitalyError ? reason : new GitalyError('CANCELLED', 'context canceled', { cause: reason });
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
    void this.#replayable?.close(); // not waited for: the source of the requests may be in the middle of a wait of its own
    await this.#opened.catch(() => {}); // whoever iterates is told
  }

  /** Resolves with the attempt that counts: the first that the server answered. Throws the failure that stands. */
  async #open(): Promise<Attempt> {
    for (let attempts = 1; ; attempts++) {
      try {
        const { balancer } = this.#host;
        const transport = balancer.pick() ?? (await this.#wait((signal) => balancer.waitForTransport(signal)));
        const attempt = this.#attempt(transport);
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

  /** `undefined` when the failure stands. */
  #repeatDelayMs(error: unknown, attempt: number): number | undefined {
    if (!(error instanceof GitalyError) || this.#cancelReason !== undefined) return undefined;
    if (this.#replayable?.canReplay === false) return undefined;
    if (error.metadata.unprocessed === true && attempt < MAX_UNPROCESSED_ATTEMPTS) return 0;
    return retryDelayMs(policyFor(this.#host.retryPolicy, this.#invocation.method), { attempt, code: error.code });
  }

  #attempt(transport: Transport): Attempt {
    const { method, options, requests } = this.#invocation;
    if (this.#cancelReason !== undefined) throw this.#cancelReason;

    // The typed functions give requests of the method's own input; here the type is forgotten.
    const messages = (this.#replayable?.attempt() ?? requests) as Requests<MessageInitShape<DescMessage>>;
    const call: ClientCall<unknown> = transport.channel.invoke(method, messages, {
      metadata: callMetadata(this.#host.metadata, options),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(this.#deadline === undefined ? {} : { deadline: this.#deadline }),
    });
    this.#current = call;
    transport.hold();
    void call.trailers.then(() => transport.release());
    return { call, responses: call[Symbol.asyncIterator](), first: undefined };
  }

  /** Waits for something that happens before the call is on the wire, no longer than the call may last. */
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

  #report(call: ClientCall<unknown>): void {
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
      ...(trailers === undefined ? {} : { trailers }),
    });
  }

  #withAbortReason(error: GitalyError): GitalyError {
    const { signal } = this.#invocation.options;
    if (error.code !== 'CANCELLED' || signal?.aborted !== true || error === signal.reason) return error;
    return new GitalyError('CANCELLED', error.message, { cause: signal.reason });
  }
}

/** Whether these are response headers. Without them (nothing came, or only a status) the attempt has failed. */
function isAnswered(headers: Metadata): boolean {
  return !headers.isEmpty && !headers.has(GRPC_STATUS);
}

/** Arrays (and nothing else that we know of) give the same messages each time they are iterated. */
function isRepeatable(requests: Invocation['requests']): boolean {
  return Array.isArray(requests);
}

function earliest(deadline: Date | undefined, timeoutMs: number | undefined): Date | undefined {
  if (timeoutMs === undefined) return deadline;
  const byTimeout = new Date(Date.now() + timeoutMs);
  return deadline === undefined || byTimeout < deadline ? byTimeout : deadline;
}

/** The same promise, which may also be left alone. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
