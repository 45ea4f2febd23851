import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { encodeMessage } from '#wire/fast/encode-message';
import { type CallCodec, type CallConnection, OutgoingCall } from './grpc-client-call.ts';
import { ACCEPTED_ENCODINGS } from './grpc-compression.ts';
import { MAX_RECEIVE_MESSAGE_BYTES } from './grpc-frame.ts';
import { pushMetadata } from './grpc-headers.ts';
import type { CallableMethod, MethodName } from './grpc-method.ts';
import { formatGrpcTimeout } from './grpc-timeout.ts';
import { GRPC_ACCEPT_ENCODING, GRPC_TIMEOUT } from './header-names.ts';
import { SESSION_OPTIONS, SESSION_WINDOW_BYTES } from './http2-limits.ts';
import { Metadata, type MetadataInit } from './metadata.ts';

export interface CallOptions {
  /** Cancels the call (RST_STREAM CANCEL); iterating throws CANCELLED, or the reason when that is a GitalyError. */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** With `timeoutMs` too, the earlier one counts. */
  readonly deadline?: Date;
  readonly metadata?: MetadataInit;
}

/**
 * A call under way. Iterating yields the responses and throws a GitalyError with the status' code and details; leaving the loop
 * early cancels. Iterate once. A call that nobody iterates must be cancelled or disposed of.
 */
export interface ClientCall<O> extends AsyncIterable<O>, AsyncDisposable {
  /** Initial metadata; empty when the call ended without. Never rejects. */
  readonly headers: Promise<Metadata>;
  /** Metadata after the last message; empty when the call broke off. Never rejects. */
  readonly trailers: Promise<Metadata>;
  cancel(reason?: GitalyError): void;
}

/** Messages to send: all at once (an array is the cheapest), or as they come. Pulled only while the peer reads. */
export type Requests<T> = Iterable<T> | AsyncIterable<T>;

/** Code around every call of a channel: may change the options, refuse by throwing, and wrap the call. */
export type ClientInterceptor = <O>(
  method: MethodName,
  options: CallOptions,
  next: (options: CallOptions) => ClientCall<O>,
) => ClientCall<O>;

/** One HTTP/2 connection to a gRPC server. */
export interface GrpcChannel {
  /**
   * `ready`: takes calls. `draining`: the server is going away; running calls finish, new ones fail with UNAVAILABLE.
   * `closed`: the connection is gone.
   */
  readonly state: 'ready' | 'draining' | 'closed';
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  /** Starts a call. Never throws: what is wrong comes out of the iteration. */
  invoke<I extends DescMessage, O extends DescMessage>(
    method: CallableMethod<I, O>,
    requests: Requests<MessageInitShape<I>>,
    options?: CallOptions,
  ): ClientCall<MessageShape<O>>;
  /** Starts a call with encoded messages in and out (without the 5-byte prefix); a request may be a list of chunks, sent uncopied. */
  invokeRaw(
    method: MethodName,
    requests: Requests<Uint8Array | readonly Uint8Array[]>,
    options?: CallOptions,
  ): ClientCall<Buffer>;
  /** Measures a round trip, in milliseconds. Rejects with UNAVAILABLE when the connection goes. */
  ping(): Promise<number>;
  /** Graceful: no new calls, running ones finish. */
  close(): Promise<void>;
  /** At once: running calls fail with UNAVAILABLE. */
  destroy(error?: Error): void;
}

export interface ChannelOptions {
  /** Value of `:authority`; default `localhost`. */
  readonly authority?: string;
  /** True when the duplex is encrypted (`:scheme`). */
  readonly isSecure?: boolean;
  readonly userAgent?: string;
  /** Outermost first. */
  readonly interceptors?: readonly ClientInterceptor[];
  readonly maxReceiveMessageBytes?: number;
  /** Ping a connection on which nothing was received for so long, with or without calls. Gitaly's clients: 20 s. Off by default. */
  readonly keepaliveMs?: number;
  /** Cut the connection when a keepalive ping is not answered for so long. Default 20 s. */
  readonly keepaliveTimeoutMs?: number;
  /** Asked when a keepalive ping is due; false leaves it out. Default: always. */
  readonly wantsKeepalive?: () => boolean;
}

const DEFAULT_KEEPALIVE_TIMEOUT_MS = 20_000;
/** What is left of a connection's life after its last frame was queued. */
const LINGER_MS = 200;
/** Until the server's settings have come we assume no limit on streams (RFC 9113, 6.5.2). */
const PEER_MAX_CONCURRENT_STREAMS = 2_147_483_647;

const RAW_CODEC: CallCodec<Uint8Array | readonly Uint8Array[], Buffer> = {
  encode: (message) => (message instanceof Uint8Array ? [message] : message),
  decode: (payload) => payload,
};

const codecs = new WeakMap<CallableMethod<DescMessage, DescMessage>, unknown>();

function codecOf<I extends DescMessage, O extends DescMessage>(
  method: CallableMethod<I, O>,
): CallCodec<MessageInitShape<I>, MessageShape<O>> {
  const known = codecs.get(method);
  // The map holds under each method what was made for that method.
  if (known !== undefined) return known as CallCodec<MessageInitShape<I>, MessageShape<O>>;
  const codec: CallCodec<MessageInitShape<I>, MessageShape<O>> = {
    encode: (message) => encodeMessage(method.input, create(method.input, message)),
    decode: (payload) => fromBinary(method.output, payload),
  };
  codecs.set(method, codec);
  return codec;
}

/** Speaks gRPC as a client over a connection that somebody else has made (and, for TLS, secured). The channel owns it from here. */
export function connectGrpc(duplex: Duplex, options: ChannelOptions = {}): GrpcChannel {
  return new Http2Channel(duplex, options);
}

class Http2Channel implements GrpcChannel, CallConnection {
  readonly #duplex: Duplex;
  readonly #session: ClientHttp2Session;
  readonly #options: ChannelOptions;
  readonly #interceptors: readonly ClientInterceptor[];
  /** Of every call, before and after its path: a flat list of names and values, which spares Node two objects a call. */
  readonly #headersBefore: readonly string[];
  readonly #headersAfter: readonly string[];
  readonly closed: Promise<void>;
  #isDraining = false;
  #error: Error | undefined;
  #isAlive = true;
  #pingTimeout: NodeJS.Timeout | undefined;

  constructor(duplex: Duplex, options: ChannelOptions) {
    this.#duplex = duplex;
    this.#options = options;
    this.#interceptors = options.interceptors ?? [];
    const scheme = options.isSecure ? 'https' : 'http';
    this.#headersBefore = [':method', 'POST', ':scheme', scheme, ':authority', options.authority ?? 'localhost', ':path'];
    this.#headersAfter = [
      ['content-type', 'application/grpc'],
      ['user-agent', options.userAgent ?? 'gitaly-ts'],
      ['te', 'trailers'],
      [GRPC_ACCEPT_ENCODING, ACCEPTED_ENCODINGS],
    ].flat();
    const session = connect(`${scheme}://localhost`, {
      ...SESSION_OPTIONS,
      peerMaxConcurrentStreams: PEER_MAX_CONCURRENT_STREAMS,
      createConnection: () => duplex,
    });
    this.#session = session;
    const setWindow = (): void => {
      if (!session.destroyed) session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    };
    if (session.connecting) session.once('connect', setWindow);
    else setWindow();
    session.on('goaway', () => {
      this.#isDraining = true;
    });
    session.on('error', (error) => {
      this.#error = error;
    });
    const keepalive = this.#startKeepalive(options.keepaliveMs);
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        clearInterval(keepalive);
        clearTimeout(this.#pingTimeout);
        resolve();
      });
    });
  }

  get state(): 'ready' | 'draining' | 'closed' {
    if (this.#session.destroyed) return 'closed';
    return this.#isDraining || this.#session.closed ? 'draining' : 'ready';
  }

  invoke<I extends DescMessage, O extends DescMessage>(
    method: CallableMethod<I, O>,
    requests: Requests<MessageInitShape<I>>,
    options: CallOptions = {},
  ): ClientCall<MessageShape<O>> {
    const codec = codecOf(method);
    return this.#begin(method, options, (changed) => this.#start(method, requests, codec, changed));
  }

  invokeRaw(
    method: MethodName,
    requests: Requests<Uint8Array | readonly Uint8Array[]>,
    options: CallOptions = {},
  ): ClientCall<Buffer> {
    return this.#begin(method, options, (changed) => this.#start(method, requests, RAW_CODEC, changed));
  }

  ping(): Promise<number> {
    return new Promise((resolve, reject) => {
      const session = this.#session;
      const send = (): void => {
        const isSent =
          !session.destroyed &&
          session.ping((error, durationMs) => (error === null ? resolve(durationMs) : reject(this.unavailable(error))));
        if (!isSent) reject(this.unavailable());
      };
      if (session.connecting) session.once('connect', send).once('close', send);
      else send();
    });
  }

  close(): Promise<void> {
    this.#session.close();
    return this.closed;
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#session.destroy(error, constants.NGHTTP2_NO_ERROR);
    setTimeout(() => this.#duplex.destroy(), LINGER_MS).unref(); // a peer that does not read cannot hold the connection open
  }

  get isGone(): boolean {
    return this.#session.destroyed;
  }

  noteReceived(): void {
    this.#isAlive = true;
  }

  /** The error for calls that this connection could not carry. */
  unavailable(cause: unknown = this.#error): GitalyError {
    const text = cause === undefined ? 'error reading from server: EOF' : `connection error: ${messageOf(cause)}`;
    return new GitalyError('UNAVAILABLE', text, cause === undefined ? {} : { cause });
  }

  /** Runs the interceptors; what they throw comes out of the call. */
  #begin<O>(method: MethodName, options: CallOptions, start: (options: CallOptions) => ClientCall<O>): ClientCall<O> {
    try {
      return this.#intercept(method, options, 0, start);
    } catch (error) {
      return refusedCall(error instanceof GitalyError ? error : new GitalyError('INTERNAL', messageOf(error), { cause: error }));
    }
  }

  #intercept<O>(
    method: MethodName,
    options: CallOptions,
    index: number,
    start: (options: CallOptions) => ClientCall<O>,
  ): ClientCall<O> {
    const interceptor = this.#interceptors[index];
    if (interceptor === undefined) return start(options);
    return interceptor(method, options, (changed) => this.#intercept(method, changed, index + 1, start));
  }

  #start<I, O>(method: MethodName, requests: Requests<I>, codec: CallCodec<I, O>, options: CallOptions): ClientCall<O> {
    const deadlineMs = earliest(options);
    const call = new OutgoingCall(codec, {
      maxReceiveMessageBytes: this.#options.maxReceiveMessageBytes ?? MAX_RECEIVE_MESSAGE_BYTES,
      deadlineMs,
      signal: options.signal,
      connection: this,
    });
    if (call.isOver) return call;
    if (this.state !== 'ready') {
      call.cancel(new GitalyError('UNAVAILABLE', 'the connection is draining', { metadata: { unprocessed: true } }));
      return call;
    }
    try {
      call.start(this.#session.request(this.#headersOf(method, options, deadlineMs)), requests);
    } catch (error) {
      // Metadata that cannot travel.
      call.cancel(error instanceof GitalyError ? error : new GitalyError('INTERNAL', messageOf(error), { cause: error }));
    }
    return call;
  }

  #headersOf(method: MethodName, options: CallOptions, deadlineMs: number | undefined): string[] {
    const headers = [...this.#headersBefore, method.path, ...this.#headersAfter];
    if (deadlineMs !== undefined) headers.push(GRPC_TIMEOUT, formatGrpcTimeout(deadlineMs - Date.now()));
    if (options.metadata !== undefined) {
      pushMetadata(headers, options.metadata instanceof Metadata ? options.metadata : Metadata.from(options.metadata));
    }
    return headers;
  }

  #startKeepalive(intervalMs: number | undefined): NodeJS.Timeout | undefined {
    if (intervalMs === undefined) return undefined;
    const { wantsKeepalive = () => true } = this.#options;
    return setInterval(() => {
      if (this.#isAlive || !wantsKeepalive() || this.#pingTimeout !== undefined || this.#session.destroyed) {
        this.#isAlive = false;
        return;
      }
      this.#pingTimeout = setTimeout(() => {
        this.#pingTimeout = undefined;
        if (!this.#isAlive) this.destroy(new Error('keepalive ping failed to receive ACK within timeout'));
      }, this.#options.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS).unref();
      this.#session.ping(() => {
        this.#isAlive = true;
        clearTimeout(this.#pingTimeout);
        this.#pingTimeout = undefined;
      });
    }, intervalMs).unref();
  }
}

/** A call that failed before it began. */
function refusedCall<O>(error: GitalyError): ClientCall<O> {
  return {
    headers: Promise.resolve(Metadata.from()),
    trailers: Promise.resolve(Metadata.from()),
    cancel: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
  };
}

function earliest({ deadline, timeoutMs }: CallOptions): number | undefined {
  if (deadline === undefined && timeoutMs === undefined) return undefined;
  return Math.min(deadline?.getTime() ?? Number.POSITIVE_INFINITY, Date.now() + (timeoutMs ?? Number.POSITIVE_INFINITY));
}
