import { constants } from 'node:http2';
import { timeLeftMs } from '#base/async/time-left';
import { MAX_TIMER_MS } from '#base/async/timer-ms';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { GRPC_ENCODING, GRPC_STATUS } from '../header-names.ts';
import { Metadata } from '../metadata.ts';
import type { ChannelCall, ChannelCallOptions, Requests } from './channel-call.ts';
import type { CallStream, CallStreamEvents } from './client-session.ts';
import { parseEncoding } from './grpc-compression.ts';
import { encodeFrame } from './grpc-frame.ts';
import { httpStatusError, readStatus } from './grpc-headers.ts';
import { IncomingFrames } from './incoming-frames.ts';

/** Encoder and decoder of a call's messages. */
export interface CallCodec<I, O> {
  encode(message: I): readonly Uint8Array[];
  decode(payload: Buffer): O;
}

export interface OutgoingCallOptions {
  readonly maxReceiveMessageBytes: number;
  /** Time in milliseconds, comparable with `Date.now()`. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly channel: ChannelHealth;
  readonly onHeaders?: ChannelCallOptions['onHeaders'] | undefined;
  readonly onEnd?: ChannelCallOptions['onEnd'] | undefined;
}

/** The part of a channel that its calls use. */
export interface ChannelHealth {
  readonly isGone: boolean;
  /** Returns the error for a call whose connection was lost. */
  unavailable(): GitalyError;
  /** Records that data arrived, which shows that the peer is alive. */
  noteReceived(): void;
}

const {
  NGHTTP2_CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLOW_CONTROL_ERROR,
  NGHTTP2_INADEQUATE_SECURITY,
  NGHTTP2_NO_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants;

/** The client's side of one RPC, from its headers to the status. */
export class OutgoingCall<I, O> implements ChannelCall<O>, CallStreamEvents {
  readonly #codec: CallCodec<I, O>;
  readonly #options: OutgoingCallOptions;
  #stream: CallStream | undefined;
  #incoming: IncomingFrames | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onSignal: (() => void) | undefined;
  #headers: Metadata | undefined;
  #trailers: Metadata | undefined;
  readonly #headersWaiter = new LazyPromise<Metadata>();
  readonly #trailersWaiter = new LazyPromise<Metadata>();
  /** The final status, an error or `OK`; undefined while it is unknown. */
  #status: GitalyError | 'OK' | undefined;
  /** Set while the sending side waits for space. */
  #onDrain: (() => void) | undefined;
  #requests: Iterator<I> | AsyncIterator<I> | undefined;

  constructor(codec: CallCodec<I, O>, options: OutgoingCallOptions) {
    this.#codec = codec;
    this.#options = options;
    const { signal, deadlineMs } = options;
    if (signal?.aborted) {
      this.cancel(cancellation(signal));
    } else if (deadlineMs !== undefined && deadlineMs <= Date.now()) {
      this.cancel(deadlineExceeded());
    } else {
      if (signal !== undefined) {
        // Not assigned at once (docs/decisions/0027-ended-calls-die-young.md).
        const onSignal = (): void => this.cancel(cancellation(signal));
        this.#onSignal = onSignal;
        signal.addEventListener('abort', onSignal, { once: true });
      }
      if (deadlineMs !== undefined) this.#watchDeadline(deadlineMs);
    }
  }

  get headers(): Promise<Metadata> {
    return this.#headersWaiter.promise;
  }

  get trailers(): Promise<Metadata> {
    return this.#trailersWaiter.promise;
  }

  get isOver(): boolean {
    return this.#status !== undefined;
  }

  /**
   * Opens the stream, and begins to send requests.
   *
   * @throws what `open` throws.
   */
  start(open: (events: CallStreamEvents) => CallStream, requests: Requests<I>): void {
    const stream = open(this);
    this.#stream = stream;
    this.#incoming = new IncomingFrames(stream, this.#options.maxReceiveMessageBytes);
    if (Array.isArray(requests) && requests.length === 1) {
      this.#sendOnly(stream, requests[0]);
    } else {
      void this.#sendAll(stream, requests);
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<O, void, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.cancel();
        return { done: true, value: undefined };
      },
    };
  }

  cancel(reason: GitalyError = cancelled()): void {
    if (this.#status !== undefined) return;
    this.#settle(reason);
    this.#incoming?.abort(reason);
    this.#stream?.reset(NGHTTP2_CANCEL);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
  }

  async #next(): Promise<IteratorResult<O, void>> {
    try {
      const payload = await this.#incoming?.next();
      if (payload !== undefined) return { done: false, value: this.#decode(payload) };
    } catch (error) {
      // a message that we refuse; otherwise the call has ended already
      if (error instanceof GitalyError) this.cancel(error);
      throw error;
    }
    await this.trailers;
    if (this.#status instanceof GitalyError) throw this.#status;
    return { done: true, value: undefined };
  }

  #decode(payload: Buffer): O {
    try {
      return this.#codec.decode(payload);
    } catch (cause) {
      throw new GitalyError(
        'INTERNAL',
        `grpc: failed to unmarshal the received message: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  #watchDeadline(deadlineMs: number): void {
    const remainingMs = timeLeftMs(deadlineMs, Date.now());
    if (remainingMs <= MAX_TIMER_MS)
      this.#timer = setTimeout(() => this.cancel(deadlineExceeded()), remainingMs);
  }

  #sendOnly(stream: CallStream, request: I): void {
    try {
      stream.end(encodeFrame(this.#codec.encode(request)));
    } catch (error) {
      this.cancel(sendFailure(error));
    }
  }

  async #sendAll(stream: CallStream, requests: Requests<I>): Promise<void> {
    const iterator =
      Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
    this.#requests = iterator;
    try {
      for (;;) {
        const { done, value } = await iterator.next();
        if (!stream.isWritable || this.#status !== undefined) break;
        if (done) {
          stream.end([]);
          return;
        }
        if (!stream.write(encodeFrame(this.#codec.encode(value)))) await this.#drained();
      }
      await iterator.return?.();
    } catch (error) {
      this.cancel(sendFailure(error));
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrain = resolve;
    });
  }

  onDrain(): void {
    this.#onDrain?.();
  }

  onHeaders(pairs: string[]): void {
    this.#options.channel.noteReceived();
    const headers = Metadata.fromWire(pairs);
    if (headers.has(GRPC_STATUS)) {
      // trailers-only; the status applies even with another HTTP status
      this.#trailers = headers;
    } else {
      const refusal = refusalOf(headers);
      if (refusal !== undefined) {
        this.cancel(refusal); // without headers: those of a proxy are no answer, as in grpc-go
        return;
      }
    }
    this.#headers = headers;
    this.#headersWaiter.resolve(headers);
    this.#options.onHeaders?.(headers);
    const encoding = parseEncoding(headers.get(GRPC_ENCODING));
    if (encoding === undefined) {
      const named = headers.get(GRPC_ENCODING);
      const text = `grpc: Decompressor is not installed for grpc-encoding "${named}"`;
      this.cancel(new GitalyError('INTERNAL', text));
    } else if (this.#incoming !== undefined) {
      this.#incoming.encoding = encoding;
    }
  }

  onTrailers(pairs: string[]): void {
    this.#trailers = Metadata.fromWire(pairs);
  }

  onData(chunk: Buffer): void {
    this.#incoming?.receive(chunk);
  }

  /**
   * Handles the end of the messages. The status is read first, because it explains an early end.
   */
  onEnd(): void {
    if (this.#status === undefined) {
      this.#options.channel.noteReceived();
      this.#settle(this.#trailers === undefined ? this.#interruption() : this.#sentStatus());
      // The server may respond before it has read everything; the rest is not sent.
      if (this.#stream?.isEnded === false) this.#stream.reset(NGHTTP2_NO_ERROR);
    }
    this.#incoming?.end();
  }

  /** Handles the end of the stream. Without an end of the messages, some may be missing. */
  onClose(): void {
    if (this.#status === undefined) this.#settle(this.#sentStatus() ?? this.#interruption());
  }

  /** Returns the error that the server has sent; `undefined` for OK, and without a status. */
  #sentStatus(): GitalyError | undefined {
    return this.#trailers && readStatus(this.#trailers, withoutTrailers);
  }

  /** Returns the error of a stream that was interrupted. */
  #interruption(): GitalyError {
    if (this.#options.channel.isGone) return this.#options.channel.unavailable();
    const code = this.#stream?.resetCode ?? NGHTTP2_NO_ERROR;
    if (code === NGHTTP2_NO_ERROR) return withoutTrailers();
    if (code === NGHTTP2_CANCEL && (this.#options.deadlineMs ?? Number.POSITIVE_INFINITY) <= Date.now())
      return deadlineExceeded();
    return resetError(code);
  }

  /** Sets the final status once. */
  #settle(status: GitalyError | undefined): void {
    this.#status = status ?? 'OK';
    clearTimeout(this.#timer);
    if (this.#onSignal !== undefined) this.#options.signal?.removeEventListener('abort', this.#onSignal);
    this.#onDrain?.();
    this.#headersWaiter.resolve(this.#headers ?? Metadata.from());
    const trailers = this.#trailers ?? Metadata.from();
    this.#trailersWaiter.resolve(trailers);
    this.#options.onEnd?.(trailers, status);
    if (status !== undefined) this.#incoming?.fail(status);
    if (this.#requests !== undefined) void release(this.#requests);
  }
}

/** A promise that is created on first use. */
class LazyPromise<T> {
  #value: { readonly of: T } | undefined;
  #promise: Promise<T> | undefined;
  #resolve: ((value: T) => void) | undefined;

  get promise(): Promise<T> {
    if (this.#promise === undefined) {
      const { promise, resolve } = Promise.withResolvers<T>();
      this.#promise = promise;
      this.#resolve = resolve;
      if (this.#value !== undefined) resolve(this.#value.of);
    }
    return this.#promise;
  }

  /** Resolves the promise; only the first value is used. */
  resolve(value: T): void {
    if (this.#value !== undefined) return;
    this.#value = { of: value };
    this.#resolve?.(value);
  }
}

/** Stops a source of requests. A source that is waiting stops when its wait is over. */
async function release(requests: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
  try {
    await requests.return?.();
  } catch {
    // the call has its status already; a source that fails to clean up cannot change it
  }
}

function withoutTrailers(): GitalyError {
  return new GitalyError('INTERNAL', 'server closed the stream without sending trailers');
}

function cancelled(): GitalyError {
  return new GitalyError('CANCELLED', 'context canceled');
}

function deadlineExceeded(): GitalyError {
  return new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded');
}

/** Returns the error of a call whose signal is aborted. */
export function cancellation(signal: AbortSignal): GitalyError {
  return signal.reason instanceof GitalyError ? signal.reason : cancelled();
}

function sendFailure(error: unknown): GitalyError {
  return error instanceof GitalyError
    ? error
    : new GitalyError('INTERNAL', messageOf(error), { cause: error });
}

/** Returns the error for a response that is not gRPC; texts of grpc-go. */
function refusalOf(headers: Metadata): GitalyError | undefined {
  const status = Number(headers.get(':status'));
  const type = headers.get('content-type') ?? '';
  if (status !== 200) return httpStatusError(status);
  if (/^application\/grpc(?:[+;]|$)/.test(type)) return undefined;
  return new GitalyError('UNKNOWN', `transport: received unexpected content-type ${JSON.stringify(type)}`);
}

/** RFC 9113, section 7, in the order of the codes. */
const RESET_NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/** Returns the error for a RST_STREAM, after gRPC's table; text of grpc-go. */
function resetError(code: number): GitalyError {
  const text = `stream terminated by RST_STREAM with error code: ${RESET_NAMES[code] ?? code}`;
  switch (code) {
    case NGHTTP2_REFUSED_STREAM:
      return new GitalyError('UNAVAILABLE', text, { metadata: { unprocessed: true } });
    case NGHTTP2_CANCEL:
      return new GitalyError('CANCELLED', text);
    case NGHTTP2_ENHANCE_YOUR_CALM:
    case NGHTTP2_FLOW_CONTROL_ERROR:
      return new GitalyError('RESOURCE_EXHAUSTED', text);
    case NGHTTP2_INADEQUATE_SECURITY:
      return new GitalyError('PERMISSION_DENIED', text);
    default:
      return new GitalyError('INTERNAL', text);
  }
}
