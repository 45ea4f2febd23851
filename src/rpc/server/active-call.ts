import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { encodeFrame, sizeOf, writeFrame } from '#rpc/common/grpc-frame';
import { addMetadata } from '#rpc/common/grpc-headers';
import type { IncomingFrames } from '#rpc/common/incoming-frames';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { CallContext } from './call-context.ts';
import { errorHeaders } from './error-headers.ts';
import type { Peer } from './handler.ts';
import type { Route } from './route.ts';
import type { RequestHook, ServerCall, ServerInterceptor } from './server-call.ts';

const OK_TRAILERS: Readonly<OutgoingHttpHeaders> = { 'grpc-status': '0' };
const RESPONSE_HEADERS: Readonly<OutgoingHttpHeaders> = { ':status': 200, 'content-type': 'application/grpc' };
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false } as const;
const TRAILERS_ONLY = { endStream: true, sendDate: false } as const;
/** How often to look whether the status has left, when the client reads slowly. */
const RELEASE_RETRY_MS = 20;
// The texts of grpc-go.
const BAD_REQUEST = 'grpc: error unmarshalling request';
const BAD_MESSAGE = 'grpc: failed to unmarshal the received message';
const NO_REQUEST = 'cardinality violation: received no request message from non-client-streaming RPC';

/** Told of headers and messages that go out (keepalive enforcement). */
type OnSent = (stream: ServerHttp2Stream) => void;

/** One RPC from its headers to its trailers. */
export class ActiveCall implements ServerCall {
  readonly context: CallContext;
  readonly isPublic: boolean;
  readonly startedAtMs = performance.now();
  requestMessages = 0;
  responseMessages = 0;
  requestBytes = 0;
  responseBytes = 0;
  readonly #route: Route;
  readonly #stream: ServerHttp2Stream;
  readonly #incoming: IncomingFrames;
  #hooks: RequestHook[] | undefined;
  /** The response of a unary or client-streaming call, kept until the interceptors have agreed. */
  #response: Uint8Array[] | undefined;
  /** Set while the pump waits for room. */
  #onRoom: (() => void) | undefined;
  /** Set while responses are pulled: releases their source. */
  #onGone: (() => Promise<void>) | undefined;
  readonly #onSent: OnSent;

  constructor(route: Route, context: CallContext, stream: ServerHttp2Stream, incoming: IncomingFrames, onSent: OnSent) {
    this.context = context;
    this.isPublic = route.isPublic;
    this.#route = route;
    this.#stream = stream;
    this.#incoming = incoming;
    this.#onSent = onSent;
    context.onAbort = (reason) => this.#onAbort(reason);
    stream.on('aborted', () => context.abort(new GitalyError('CANCELLED', 'context canceled')));
  }

  get method(): MethodInfo {
    return this.#route.method;
  }

  get headers(): Metadata {
    return this.context.headers;
  }

  get peer(): Peer {
    return this.context.peer;
  }

  get logFields(): Readonly<Record<string, unknown>> {
    return this.context.logFields;
  }

  onRequest(hook: RequestHook): void {
    this.#hooks ??= [];
    this.#hooks.push(hook);
  }

  /** Runs the interceptors and the handler and sends the status. Never rejects. */
  async run(interceptors: readonly ServerInterceptor[]): Promise<void> {
    let failure: GitalyError | undefined;
    try {
      await this.#intercept(interceptors, 0);
    } catch (error) {
      failure = this.#statusOf(error);
    }
    this.context.finish();
    try {
      this.#finish(failure);
    } catch {
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR); // HTTP/2 refuses the answer; the client must not wait for it
    }
  }

  #intercept(interceptors: readonly ServerInterceptor[], index: number): Promise<void> {
    const interceptor = interceptors[index];
    return interceptor === undefined ? this.#handle() : interceptor(this, () => this.#intercept(interceptors, index + 1));
  }

  async #handle(): Promise<void> {
    const { handler, method } = this.#route;
    if (handler === undefined)
      throw new GitalyError('UNIMPLEMENTED', `unknown method ${method.name} for service ${method.service}`);
    switch (handler.kind) {
      case 'unary':
        this.#keep(await handler.run(await this.#onlyRequest(), this.context));
        return;
      case 'client_stream':
        this.context.watchDeadline();
        this.#keep(await handler.run(this.#requests(), this.context));
        return;
      case 'server_stream':
        return this.#send(handler.run(await this.#onlyRequest(), this.context));
      case 'bidi_stream':
        return this.#send(handler.run(this.#requests(), this.context));
    }
  }

  async #onlyRequest(): Promise<unknown> {
    const payload = await this.#incoming.next();
    if (payload === undefined) throw new GitalyError('INTERNAL', NO_REQUEST);
    // More messages are passed over, as by the grpc-go that Gitaly is built with.
    return await this.#decode(payload);
  }

  /** A plain iterator: a generator would cost three promises for each message. */
  #requests(): AsyncIterableIterator<unknown> {
    const requests: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => requests,
      next: async () => {
        const payload = await this.#incoming.next();
        return payload === undefined ? { done: true, value: undefined } : { done: false, value: await this.#decode(payload) };
      },
      return: async () => {
        this.#incoming.discard();
        return { done: true, value: undefined };
      },
    };
    return requests;
  }

  /** Not async unless a hook is: the common call pays no promise. */
  #decode(payload: Buffer): unknown {
    let message: unknown;
    try {
      message = this.#route.decode(payload);
    } catch (error) {
      const text = this.method.kind === 'unary' ? BAD_REQUEST : BAD_MESSAGE;
      throw new GitalyError('INTERNAL', `${text}: ${decodeFailure(error)}`, { cause: error });
    }
    const index = this.requestMessages++;
    this.requestBytes += payload.length;
    return this.#hooks === undefined ? message : runHooks(this.#hooks, message, index);
  }

  #keep(response: unknown): void {
    this.#response = this.#encode(response);
  }

  #encode(message: unknown): Uint8Array[] {
    const chunks = this.#route.encode(message);
    this.responseMessages++;
    this.responseBytes += sizeOf(chunks);
    return encodeFrame(chunks);
  }

  /** Pulls responses one at a time; a client that does not read stops the pulling, one that leaves ends it. */
  async #send(responses: AsyncIterable<unknown>): Promise<void> {
    this.context.watchDeadline();
    const iterator = responses[Symbol.asyncIterator]();
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => {
      released ??= returnQuietly(iterator);
      return released;
    };
    this.#onGone = release;
    try {
      for (;;) {
        const { done, value } = await iterator.next();
        if (this.context.abortReason !== undefined) throw this.context.abortReason;
        if (done) return;
        const frame = this.#encode(value);
        if (!this.#stream.headersSent) this.#stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
        this.#onSent(this.#stream);
        if (!writeFrame(this.#stream, frame)) await this.#room();
      }
    } catch (error) {
      await release();
      throw error;
    } finally {
      this.#onGone = undefined;
    }
  }

  /** Waits until the stream has room again. @throws the reason when the call is aborted meanwhile. */
  async #room(): Promise<void> {
    if (this.context.abortReason === undefined) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
        this.#stream.once('drain', resolve);
      });
      this.#onRoom = undefined;
    }
    if (this.context.abortReason !== undefined) throw this.context.abortReason;
  }

  #onAbort(reason: GitalyError): void {
    this.#incoming.abort(reason);
    this.#onRoom?.();
    void this.#onGone?.(); // wakes iterators that wait in `next`; a generator is returned from when its `next` is done
  }

  /** An error without a code, thrown after an abort, is taken for its consequence. */
  #statusOf(error: unknown): GitalyError {
    if (error instanceof GitalyError) return error;
    const code = this.context.abortReason?.code ?? 'UNKNOWN';
    return new GitalyError(code, messageOf(error), { cause: error });
  }

  #finish(failure: GitalyError | undefined): void {
    const stream = this.#stream;
    this.#incoming.discard();
    if (stream.destroyed || stream.closed) return;
    this.#onSent(stream);
    const trailers = this.#trailers(failure);
    if (failure === undefined && this.#response !== undefined) {
      stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
      endWith(stream, trailers, this.#response);
    } else if (stream.headersSent) {
      endWith(stream, trailers, []);
    } else {
      respondTrailersOnly(stream, trailers);
    }
  }

  #trailers(failure: GitalyError | undefined): OutgoingHttpHeaders {
    const extra = this.context.trailersInUse;
    if (failure === undefined && extra === undefined) return OK_TRAILERS;
    const limit = this.#stream.session?.remoteSettings.maxHeaderListSize ?? Number.POSITIVE_INFINITY;
    const trailers = failure === undefined ? { ...OK_TRAILERS } : errorHeaders(failure, limit);
    if (extra !== undefined) addMetadata(trailers, extra);
    return trailers;
  }
}

/** Go's words for what is wrong with the bytes of a message. */
function decodeFailure(error: unknown): string {
  return isUtf8Failure(error) ? 'string field contains invalid UTF-8' : 'proto: cannot parse invalid wire-format data';
}

function isUtf8Failure(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
}

/** Ends a source of responses. The call has its status already, so a failure to clean up cannot change it. */
async function returnQuietly(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // what the call ends with is known
  }
}

async function runHooks(hooks: readonly RequestHook[], message: unknown, index: number): Promise<unknown> {
  for (const hook of hooks) {
    const pending = hook(message, index);
    if (pending !== undefined) await pending;
  }
  return message;
}

/** Answers with a status alone. */
export function respondTrailersOnly(stream: ServerHttp2Stream, trailers: OutgoingHttpHeaders, httpStatus = 200): void {
  if (stream.destroyed || stream.closed) return; // the client has left
  stream.respond({ ...RESPONSE_HEADERS, ':status': httpStatus, ...trailers }, TRAILERS_ONLY);
  releaseSender(stream);
}

function endWith(stream: ServerHttp2Stream, trailers: OutgoingHttpHeaders, frame: readonly Uint8Array[]): void {
  stream.once('wantTrailers', () => {
    stream.sendTrailers(trailers);
    releaseSender(stream);
  });
  const [first] = frame;
  if (frame.length === 1 && first !== undefined) {
    stream.end(first);
    return;
  }
  writeFrame(stream, frame);
  stream.end();
}

/**
 * Tells a client that still sends that nobody reads (RST_STREAM NO_ERROR). Not before the status has left: nghttp2 drops what is
 * queued for a stream that is to be reset.
 */
function releaseSender(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded) setImmediate(closeWhenAnswered, stream);
}

function closeWhenAnswered(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed) return;
  if (stream.state.localClose === 1) stream.close();
  else setTimeout(closeWhenAnswered, RELEASE_RETRY_MS, stream).unref();
}
