import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { clientMessageOf, GitalyError } from '#base/gitaly-error';
import { encodeFrame, sizeOf, writeFrame } from '#rpc/common/grpc/grpc-frame';
import { addMetadata } from '#rpc/common/grpc/grpc-headers';
import type { IncomingFrames } from '#rpc/common/grpc/incoming-frames';
import { readyIn } from '#rpc/common/grpc/ready-responses';
import { whenSentOf } from '#rpc/common/grpc/when-sent';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { CallContext } from './call-context.ts';
import type { Sender } from './connection/server-connection.ts';
import { errorHeaders } from './error-headers.ts';
import type { Peer } from './handler.ts';
import { type NamedTargets, namedTargets } from './named-targets.ts';
import type { ConnectionRequestLimits } from './request-limits.ts';
import type { Route } from './route.ts';
import type { CallStage, ServerCall, ServerInterceptor } from './server-call.ts';

const OK_TRAILERS: Readonly<OutgoingHttpHeaders> = { 'grpc-status': '0' };
const RESPONSE_HEADERS: Readonly<OutgoingHttpHeaders> = {
  ':status': 200,
  'content-type': 'application/grpc',
};
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false } as const;
const TRAILERS_ONLY = { endStream: true, sendDate: false } as const;
/** Interval for checking whether the status has been sent to a client that reads slowly. */
const RELEASE_RETRY_MS = 20;
// Texts of grpc-go.
const BAD_REQUEST = 'grpc: error unmarshalling request';
const BAD_MESSAGE = 'grpc: failed to unmarshal the received message';
const NO_REQUEST = 'cardinality violation: received no request message from non-client-streaming RPC';

/** Called for headers and messages that are sent (keepalive enforcement). */
type OnSent = (sender: Sender) => void;

/** One RPC from its headers to its trailers. */
export class ActiveCall implements ServerCall, Sender {
  readonly context: CallContext;
  readonly isPublic: boolean;
  readonly stream: ServerHttp2Stream;
  hasSent = false;
  readonly startedAtMs = performance.now();
  readonly arrivedAtMs = Date.now();
  targets: NamedTargets | undefined;
  requestMessages = 0;
  responseMessages = 0;
  requestBytes = 0;
  responseBytes = 0;
  readonly #route: Route;
  readonly #incoming: IncomingFrames;
  readonly #limits: ConnectionRequestLimits;
  /** Gives back the memory of the request that was decoded last. */
  #releaseRequest: (() => void) | undefined;
  /** The stages that have started and not ended, outermost first. */
  readonly #stages: CallStage[] = [];
  /** True from the begin of the handler until it has ended or the call has failed. */
  #isHandling = false;
  #isOver = false;
  #onEnd: (() => void) | undefined;
  /**
   * The response of a unary or client-streaming call, kept until the interceptors have finished.
   */
  #response: Uint8Array[] | undefined;
  /** Set while sending waits for space. */
  #onDrain: (() => void) | undefined;
  /** Set while responses are pulled: releases their source. */
  #onGone: (() => Promise<void>) | undefined;
  readonly #onSent: OnSent;

  constructor(
    route: Route,
    context: CallContext,
    stream: ServerHttp2Stream,
    incoming: IncomingFrames,
    limits: ConnectionRequestLimits,
    onSent: OnSent,
  ) {
    this.context = context;
    this.isPublic = route.isPublic;
    this.#route = route;
    this.stream = stream;
    this.#incoming = incoming;
    this.#limits = limits;
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

  get deadlineMs(): number | undefined {
    return this.context.deadlineMs;
  }

  get logFields(): Readonly<Record<string, unknown>> {
    return this.context.logFields;
  }

  fail(error: GitalyError): boolean {
    if (!this.#isHandling) return false;
    this.#isHandling = false;
    this.context.abort(error);
    queueMicrotask(() => this.#endStages(error));
    return true;
  }

  /**
   * Runs the interceptors and the handler and sends the status. Never throws.
   *
   * @param onEnd is called when the call is over.
   */
  run(interceptors: readonly ServerInterceptor[], onEnd: () => void): void {
    this.#onEnd = onEnd;
    this.#begin(interceptors, 0);
  }

  /** Begins the stages from one on, and then the handler. */
  #begin(interceptors: readonly ServerInterceptor[], from: number): void {
    for (let at = from; at < interceptors.length; at++) {
      let stage: ReturnType<ServerInterceptor>;
      try {
        stage = interceptors[at]?.(this);
      } catch (error) {
        this.#endStages(error);
        return;
      }
      if (stage === undefined) continue;
      if (stage instanceof Promise) {
        stage.then(
          (begun) => this.#enter(begun, interceptors, at + 1),
          (error: unknown) => this.#endStages(error),
        );
        return;
      }
      if (stage.within !== undefined) {
        this.#enter(stage, interceptors, at + 1);
        return;
      }
      this.#stages.push(stage);
    }
    this.#isHandling = true;
    this.#handle().then(
      () => this.#onHandled(undefined),
      (error: unknown) => this.#onHandled(error),
    );
  }

  /** Goes on inside a stage. */
  #enter(stage: CallStage | undefined, interceptors: readonly ServerInterceptor[], next: number): void {
    if (stage !== undefined) this.#stages.push(stage);
    if (stage?.within === undefined) this.#begin(interceptors, next);
    else stage.within(() => this.#begin(interceptors, next));
  }

  #onHandled(failure: unknown): void {
    if (!this.#isHandling) return; // failed meanwhile
    this.#isHandling = false;
    this.#endStages(failure);
  }

  /** Ends the stages, innermost first, and then the call. */
  #endStages(failure: unknown): void {
    let current = failure;
    for (let stage = this.#stages.pop(); stage !== undefined; stage = this.#stages.pop()) {
      try {
        const pending = stage.end?.(this, current);
        if (pending === undefined) continue;
        const unchanged = current;
        pending.then(
          () => this.#endStages(unchanged),
          (error: unknown) => this.#endStages(error),
        );
        return;
      } catch (error) {
        current = error;
      }
    }
    this.#close(current === undefined ? undefined : this.#statusOf(current));
  }

  #close(failure: GitalyError | undefined): void {
    this.context.finish();
    this.#isOver = true;
    this.#forgetRequest();
    try {
      this.#finish(failure);
    } catch {
      // HTTP/2 refuses the response; the client must not wait for it
      this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
    this.#onEnd?.();
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
    // Further messages are ignored, as by the version of grpc-go in Gitaly.
    return this.#decode(payload);
  }

  /** Returns a plain iterator, because a generator would cost three promises per message. */
  #requests(): AsyncIterableIterator<unknown> {
    const requests: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => requests,
      next: async () => {
        this.#forgetRequest();
        const payload = await this.#incoming.next();
        return payload === undefined
          ? { done: true, value: undefined }
          : { done: false, value: await this.#decode(payload) };
      },
      return: async () => {
        this.#incoming.discard();
        return { done: true, value: undefined };
      },
    };
    return requests;
  }

  /**
   * Decodes a message. It is asynchronous only if a stage is or the message is large, so an
   * ordinary call creates no promise.
   */
  #decode(payload: Buffer): unknown {
    return this.#limits.isLarge(payload) ? this.#decodeLarge(payload) : this.#decodeNow(payload);
  }

  async #decodeLarge(payload: Buffer): Promise<unknown> {
    const count = (limit: number): number => this.#route.countElements(payload, limit);
    const release = await this.#limits.admit(payload, count, this.context.signal);
    // The handler may have ended without waiting for it.
    if (this.#isOver) release();
    else this.#releaseRequest = release;
    return this.#decodeNow(payload);
  }

  #forgetRequest(): void {
    this.#releaseRequest?.();
    this.#releaseRequest = undefined;
  }

  #decodeNow(payload: Buffer): unknown {
    let message: unknown;
    try {
      message = this.#route.decode(payload);
    } catch (error) {
      const text = this.method.kind === 'unary' ? BAD_REQUEST : BAD_MESSAGE;
      throw new GitalyError('INTERNAL', `${text}: ${decodeFailure(error)}`, { cause: error });
    }
    this.requestBytes += payload.length;
    if (this.requestMessages++ > 0 || this.#stages.length === 0) return message;
    this.targets = namedTargets(this.method, message);
    return this.#showFirst(message, 0);
  }

  /** Shows the first request to the stages. Returns it, or a promise of it if a stage waits. */
  #showFirst(message: unknown, from: number): unknown {
    for (let at = from; at < this.#stages.length; at++) {
      const pending = this.#stages[at]?.request?.(this);
      if (pending !== undefined) return pending.then(() => this.#showFirst(message, at + 1));
    }
    return message;
  }

  #keep(response: unknown): void {
    this.#response = this.#encode(response);
  }

  #encode(message: unknown): Uint8Array[] {
    const ready = readyIn(message);
    if (ready !== undefined) {
      this.responseMessages += ready.count;
      this.responseBytes += ready.messageBytes;
      return [ready.frames];
    }
    const chunks = this.#route.encode(message);
    this.responseMessages++;
    this.responseBytes += sizeOf(chunks);
    return encodeFrame(chunks);
  }

  /**
   * Pulls responses one at a time. A client that does not read stops the pulling; one that
   * disconnects ends it.
   */
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
        if (!this.stream.headersSent) this.stream.respond(this.#responseHeaders(), WITH_TRAILERS);
        this.#onSent(this);
        if (!writeFrame(this.stream, frame, whenSentOf(value))) await this.#drained();
      }
    } catch (error) {
      await release();
      throw error;
    } finally {
      this.#onGone = undefined;
    }
  }

  /** Waits until the stream has space. @throws the reason when the call is aborted meanwhile. */
  async #drained(): Promise<void> {
    if (this.context.abortReason === undefined) {
      await new Promise<void>((resolve) => {
        this.#onDrain = resolve;
        this.stream.once('drain', resolve);
      });
      this.#onDrain = undefined;
    }
    if (this.context.abortReason !== undefined) throw this.context.abortReason;
  }

  #onAbort(reason: GitalyError): void {
    this.#incoming.abort(reason);
    this.#onDrain?.();
    void this.#onGone?.(); // wakes iterators that wait in `next`; a generator returns when its `next` is done
  }

  /**
   * Returns the status for an error. An error without a code that is thrown after an abort is
   * treated as its consequence.
   */
  #statusOf(error: unknown): GitalyError {
    if (error instanceof GitalyError) return error;
    const code = this.context.abortReason?.code ?? 'UNKNOWN';
    return new GitalyError(code, clientMessageOf(error), { cause: error });
  }

  #finish(failure: GitalyError | undefined): void {
    const stream = this.stream;
    this.#incoming.discard();
    if (stream.destroyed || stream.closed) return;
    this.#onSent(this);
    const trailers = this.#trailers(failure);
    if (failure === undefined && this.#response !== undefined) {
      stream.respond(this.#responseHeaders(), WITH_TRAILERS);
      endWith(stream, trailers, this.#response);
    } else if (stream.headersSent) {
      endWith(stream, trailers, []);
    } else {
      respondTrailersOnly(stream, trailers);
    }
  }

  #responseHeaders(): OutgoingHttpHeaders {
    const extra = this.context.responseHeadersInUse;
    if (extra === undefined) return RESPONSE_HEADERS;
    const headers = { ...RESPONSE_HEADERS };
    addMetadata(headers, extra);
    return headers;
  }

  #trailers(failure: GitalyError | undefined): OutgoingHttpHeaders {
    const extra = this.context.trailersInUse;
    if (failure === undefined && extra === undefined) return OK_TRAILERS;
    const limit = this.stream.session?.remoteSettings.maxHeaderListSize ?? Number.POSITIVE_INFINITY;
    const trailers = failure === undefined ? { ...OK_TRAILERS } : errorHeaders(failure, limit);
    if (extra !== undefined) addMetadata(trailers, extra);
    return trailers;
  }
}

/** Returns Go's text for a malformed message. */
function decodeFailure(error: unknown): string {
  return isUtf8Failure(error)
    ? 'string field contains invalid UTF-8'
    : 'proto: cannot parse invalid wire-format data';
}

function isUtf8Failure(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
}

/** Ends a source of responses and ignores its errors: the call already has its status. */
async function returnQuietly(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // the call already has its status
  }
}

/** Responds with only a status. */
export function respondTrailersOnly(
  stream: ServerHttp2Stream,
  trailers: OutgoingHttpHeaders,
  httpStatus = 200,
): void {
  if (stream.destroyed || stream.closed) return; // the client has disconnected
  stream.respond({ ...RESPONSE_HEADERS, ':status': httpStatus, ...trailers }, TRAILERS_ONLY);
  releaseSender(stream);
}

function endWith(
  stream: ServerHttp2Stream,
  trailers: OutgoingHttpHeaders,
  frame: readonly Uint8Array[],
): void {
  stream.once('wantTrailers', () => {
    try {
      stream.sendTrailers(trailers);
    } catch {
      // HTTP/2 refuses them; the client must not wait
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
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
 * Notifies a client that is still sending that its data is not read (RST_STREAM NO_ERROR). It waits
 * until the status has been sent, because nghttp2 drops the queued data of a stream that is reset.
 */
function releaseSender(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded) setImmediate(closeWhenAnswered, stream);
}

function closeWhenAnswered(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed) return;
  if (stream.state.localClose === 1) stream.close();
  else setTimeout(closeWhenAnswered, RELEASE_RETRY_MS, stream).unref();
}
