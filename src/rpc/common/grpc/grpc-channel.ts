import type { Duplex } from 'node:stream';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { timeLeftMs } from '#base/async/time-left';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { encodeMessage } from '#wire/fast/encode-message';
import { GRPC_ACCEPT_ENCODING, GRPC_TIMEOUT } from '../header-names.ts';
import { Metadata } from '../metadata.ts';
import type { ChannelCall, ChannelCallOptions, Requests } from './channel-call.ts';
import type { ClientSession, CommonHeaders } from './client-session.ts';
import { ACCEPTED_ENCODINGS } from './grpc-compression.ts';
import { MAX_RECEIVE_MESSAGE_BYTES } from './grpc-frame.ts';
import { pushMetadata } from './grpc-headers.ts';
import type { CallableMethod, MethodName } from './grpc-method.ts';
import { formatGrpcTimeout } from './grpc-timeout.ts';
import { NodeSession } from './node-session.ts';
import { type CallCodec, type ChannelHealth, OutgoingCall } from './outgoing-call.ts';
import { textForBytes } from './text-for-bytes.ts';

/** One HTTP/2 connection to a gRPC server. */
export interface GrpcChannel {
  /**
   * `ready`: accepts calls. `draining`: the server is shutting down; running calls finish, new ones
   * fail with UNAVAILABLE. `closed`: the connection is closed.
   */
  readonly state: 'ready' | 'draining' | 'closed';
  /** Resolves when the connection is closed, for any reason. */
  readonly closed: Promise<void>;
  /** Starts a call. Never throws: errors are thrown by the iteration. */
  invoke<I extends DescMessage, O extends DescMessage>(
    method: CallableMethod<I, O>,
    requests: Requests<MessageInitShape<I>>,
    options?: ChannelCallOptions,
  ): ChannelCall<MessageShape<O>>;
  /**
   * Starts a call with encoded messages in both directions (without the 5-byte prefix). A request
   * may be a list of chunks, which is sent uncopied.
   */
  invokeRaw(
    method: MethodName,
    requests: Requests<Uint8Array | readonly Uint8Array[]>,
    options?: ChannelCallOptions,
  ): ChannelCall<Buffer>;
  /**
   * Measures a round trip in milliseconds. Rejects with UNAVAILABLE when the connection closes.
   */
  ping(): Promise<number>;
  /** Closes gracefully: accepts no new calls; running ones finish. */
  close(): Promise<void>;
  /** Closes at once: running calls fail with UNAVAILABLE, or as `error` if that is CANCELLED. */
  destroy(error?: Error): void;
}

export interface ChannelOptions {
  /** Value of `:authority`; default `localhost`. */
  readonly authority?: string;
  /** True when the duplex is encrypted (`:scheme`). */
  readonly isSecure?: boolean;
  readonly userAgent?: string;
  readonly maxReceiveMessageBytes?: number;
  /**
   * Time without received data after which a ping is sent, with or without calls. Gitaly's clients
   * use 20 s. Off by default.
   */
  readonly keepaliveMs?: number;
  /**
   * Time limit for the response to a keepalive ping, after which the connection is closed. Default
   * 20 s.
   */
  readonly keepaliveTimeoutMs?: number;
  /** Called when a keepalive ping is due; returns false to skip it. By default all are sent. */
  readonly wantsKeepalive?: () => boolean;
  /** Opens the HTTP/2 session. Default: one of `node:http2`. */
  readonly openSession?: OpenSession;
}

/** Opens an HTTP/2 session on a connection, which it then owns. */
export type OpenSession = (duplex: Duplex, common: CommonHeaders) => ClientSession;

const DEFAULT_KEEPALIVE_TIMEOUT_MS = 20_000;
/** Longest life of a connection after its last frame was queued. */
const DRAIN_MS = 200;

const RAW_CODEC: CallCodec<Uint8Array | readonly Uint8Array[], Buffer> = {
  encode: (message) => (message instanceof Uint8Array ? [message] : message),
  decode: (payload) => payload,
};

const codecs = new WeakMap<CallableMethod<DescMessage, DescMessage>, unknown>();

function codecOf<I extends DescMessage, O extends DescMessage>(
  method: CallableMethod<I, O>,
): CallCodec<MessageInitShape<I>, MessageShape<O>> {
  const known = codecs.get(method);
  // The map holds the codec of each method under that method.
  if (known !== undefined) return known as CallCodec<MessageInitShape<I>, MessageShape<O>>;
  const codec: CallCodec<MessageInitShape<I>, MessageShape<O>> = {
    encode: (message) => {
      const request = create(method.input, message);
      try {
        return encodeMessage(method.input, request);
      } catch (error) {
        const field = textForBytes(method.input, request);
        if (field === undefined) throw error;
        throw new TypeError(`${method.input.name}.${field} is bytes: pass Buffer.from(text)`, {
          cause: error,
        });
      }
    },
    decode: (payload) => fromBinary(method.output, payload),
  };
  codecs.set(method, codec);
  return codec;
}

/**
 * Creates a gRPC client on an established (and, for TLS, secured) connection. The channel then owns
 * the connection.
 */
export function connectGrpc(duplex: Duplex, options: ChannelOptions = {}): GrpcChannel {
  return new Http2Channel(duplex, options);
}

class Http2Channel implements GrpcChannel, ChannelHealth {
  readonly #duplex: Duplex;
  readonly #session: ClientSession;
  readonly #options: ChannelOptions;
  #error: Error | undefined;
  #isAlive = true;
  #pingTimeout: NodeJS.Timeout | undefined;

  constructor(duplex: Duplex, options: ChannelOptions) {
    this.#duplex = duplex;
    this.#options = options;
    const { openSession = openNodeSession } = options;
    this.#session = openSession(duplex, commonHeaders(options));
    const keepalive = this.#startKeepalive(options.keepaliveMs);
    void this.#session.closed.then(() => {
      clearInterval(keepalive);
      clearTimeout(this.#pingTimeout);
    });
  }

  get closed(): Promise<void> {
    return this.#session.closed;
  }

  get state(): 'ready' | 'draining' | 'closed' {
    if (this.#session.isDestroyed) return 'closed';
    return this.#session.isClosing ? 'draining' : 'ready';
  }

  invoke<I extends DescMessage, O extends DescMessage>(
    method: CallableMethod<I, O>,
    requests: Requests<MessageInitShape<I>>,
    options: ChannelCallOptions = {},
  ): ChannelCall<MessageShape<O>> {
    return this.#start(method, requests, codecOf(method), options);
  }

  invokeRaw(
    method: MethodName,
    requests: Requests<Uint8Array | readonly Uint8Array[]>,
    options: ChannelCallOptions = {},
  ): ChannelCall<Buffer> {
    return this.#start(method, requests, RAW_CODEC, options);
  }

  async ping(): Promise<number> {
    try {
      return await this.#session.ping();
    } catch (error) {
      throw this.unavailable(error);
    }
  }

  close(): Promise<void> {
    this.#session.close();
    return this.closed;
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#session.destroy(error);
    // a peer that does not read cannot keep the connection open
    setTimeout(() => this.#duplex.destroy(), DRAIN_MS).unref();
  }

  get isGone(): boolean {
    return this.#session.isDestroyed;
  }

  noteReceived(): void {
    this.#isAlive = true;
  }

  /** Returns the error for calls that this connection could not carry. */
  unavailable(cause: unknown = this.#error ?? this.#session.error): GitalyError {
    // The owner has closed the channel; the text is that of grpc-go.
    if (cause instanceof GitalyError && cause.code === 'CANCELLED')
      return new GitalyError(cause.code, cause.message, { cause });
    const text =
      cause === undefined ? 'error reading from server: EOF' : `connection error: ${messageOf(cause)}`;
    return new GitalyError('UNAVAILABLE', text, cause === undefined ? {} : { cause });
  }

  #start<I, O>(
    method: MethodName,
    requests: Requests<I>,
    codec: CallCodec<I, O>,
    options: ChannelCallOptions,
  ): ChannelCall<O> {
    const deadlineMs = earliest(options);
    const call = new OutgoingCall(codec, {
      maxReceiveMessageBytes: this.#options.maxReceiveMessageBytes ?? MAX_RECEIVE_MESSAGE_BYTES,
      deadlineMs,
      signal: options.signal,
      channel: this,
      onHeaders: options.onHeaders,
      onEnd: options.onEnd,
    });
    if (call.isOver) return call;
    if (this.state !== 'ready') {
      call.cancel(
        new GitalyError('UNAVAILABLE', 'the connection is draining', { metadata: { unprocessed: true } }),
      );
      return call;
    }
    try {
      const headers = { path: method.path, pairs: pairsOf(options, deadlineMs) };
      call.start((events) => this.#session.request(headers, events), requests);
    } catch (error) {
      // The metadata cannot be sent.
      call.cancel(
        error instanceof GitalyError
          ? error
          : new GitalyError('INTERNAL', messageOf(error), { cause: error }),
      );
    }
    return call;
  }

  #startKeepalive(intervalMs: number | undefined): NodeJS.Timeout | undefined {
    if (intervalMs === undefined) return undefined;
    const { wantsKeepalive = () => true } = this.#options;
    return setInterval(() => {
      if (this.#isAlive || !wantsKeepalive() || this.#pingTimeout !== undefined || this.isGone) {
        this.#isAlive = false;
        return;
      }
      this.#pingTimeout = setTimeout(() => {
        this.#pingTimeout = undefined;
        if (!this.#isAlive) this.destroy(new Error('keepalive ping failed to receive ACK within timeout'));
      }, this.#options.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS).unref();
      const onResponse = (): void => {
        this.#isAlive = true;
        clearTimeout(this.#pingTimeout);
        this.#pingTimeout = undefined;
      };
      this.#session.ping().then(onResponse, onResponse); // a closed session does not respond
    }, intervalMs).unref();
  }
}

function openNodeSession(duplex: Duplex, common: CommonHeaders): ClientSession {
  return new NodeSession(duplex, common);
}

function commonHeaders({
  authority = 'localhost',
  isSecure,
  userAgent = 'gitaly-ts',
}: ChannelOptions): CommonHeaders {
  const scheme = isSecure ? 'https' : 'http';
  return {
    before: [':method', 'POST', ':scheme', scheme, ':authority', authority, ':path'],
    after: [
      ['content-type', 'application/grpc'],
      ['user-agent', userAgent],
      ['te', 'trailers'],
      [GRPC_ACCEPT_ENCODING, ACCEPTED_ENCODINGS],
    ].flat(),
  };
}

function pairsOf({ metadata }: ChannelCallOptions, deadlineMs: number | undefined): string[] {
  const pairs: string[] = [];
  if (deadlineMs !== undefined)
    pairs.push(GRPC_TIMEOUT, formatGrpcTimeout(timeLeftMs(deadlineMs, Date.now())));
  if (metadata !== undefined)
    pushMetadata(pairs, metadata instanceof Metadata ? metadata : Metadata.from(metadata));
  return pairs;
}

function earliest({ deadline, timeoutMs }: ChannelCallOptions): number | undefined {
  if (deadline === undefined && timeoutMs === undefined) return undefined;
  return Math.min(
    deadline?.getTime() ?? Number.POSITIVE_INFINITY,
    Date.now() + (timeoutMs ?? Number.POSITIVE_INFINITY),
  );
}
