import { constants, type OutgoingHttpHeaders } from 'node:http2';
import type { GitalyError } from '#base/gitaly-error';
import { encodeFrame, sizeOf, writeFrame } from '#rpc/common/grpc/grpc-frame';
import { addMetadata } from '#rpc/common/grpc/grpc-headers';
import { readyIn } from '#rpc/common/grpc/ready-responses';
import { whenSentOf } from '#rpc/common/grpc/when-sent';
import type { CallContext } from '../call-context.ts';
import { errorHeaders } from '../error-headers.ts';
import type { CallRoute } from '../route.ts';
import type { ServerStream } from './server-stream.ts';

const OK_TRAILERS: Readonly<OutgoingHttpHeaders> = { 'grpc-status': '0' };
const RESPONSE_HEADERS: Readonly<OutgoingHttpHeaders> = {
  ':status': 200,
  'content-type': 'application/grpc',
};
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false } as const;
const NO_DATE = { endStream: false, sendDate: false } as const;
const TRAILERS_ONLY = { endStream: true, sendDate: false } as const;
/** Interval for checking whether the status has been sent to a client that reads slowly. */
const RELEASE_RETRY_MS = 20;

export interface ResponseWriterOwner {
  readonly route: CallRoute;
  readonly context: CallContext;
  readonly stream: ServerStream;
  /** Called before headers or a message are sent. */
  onSending(): void;
}

/** Encodes the responses of a call, and sends them and its status. */
export class ResponseWriter {
  messages = 0;
  bytes = 0;
  readonly #owner: ResponseWriterOwner;
  /**
   * The response of a unary or client-streaming call, kept until the interceptors have finished.
   */
  #kept: Uint8Array[] | undefined;
  /** Set while sending waits for space. */
  #onDrain: (() => void) | undefined;
  /** Set while responses are pulled: releases their source. */
  #onGone: (() => Promise<void>) | undefined;

  constructor(owner: ResponseWriterOwner) {
    this.#owner = owner;
  }

  /** Encodes the only response. It is sent with the status, unless the call fails. */
  keep(response: unknown): void {
    this.#kept = this.#encode(response);
  }

  /**
   * Pulls responses one at a time. A client that does not read stops the pulling; one that
   * disconnects ends it.
   */
  async sendAll(responses: AsyncIterable<unknown>): Promise<void> {
    const { context, stream } = this.#owner;
    context.watchDeadline();
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
        if (context.abortReason !== undefined) throw context.abortReason;
        if (done) return;
        const frame = this.#encode(value);
        if (!stream.headersSent) stream.respond(this.#headers(), WITH_TRAILERS);
        this.#owner.onSending();
        if (!writeFrame(stream, frame, whenSentOf(value))) await this.#drained();
      }
    } catch (error) {
      await release();
      throw error;
    } finally {
      this.#onGone = undefined;
    }
  }

  /** Stops the pulling, because the call is aborted. */
  abort(): void {
    this.#onDrain?.();
    void this.#onGone?.(); // wakes iterators that wait in `next`; a generator returns when its `next` is done
  }

  /** Sends the status, and before it the kept response if the call succeeded. */
  finish(failure: GitalyError | undefined): void {
    const { stream } = this.#owner;
    if (stream.destroyed || stream.closed) return;
    this.#owner.onSending();
    const trailers = this.#trailers(failure);
    const kept = this.#kept;
    this.#kept = undefined; // background work may hold the call for long
    if (failure === undefined && kept !== undefined) {
      stream.respond(this.#headers(), WITH_TRAILERS);
      endWith(stream, trailers, kept);
    } else if (stream.headersSent) {
      endWith(stream, trailers, []);
    } else {
      respondTrailersOnly(stream, trailers);
    }
  }

  #encode(message: unknown): Uint8Array[] {
    const ready = readyIn(message);
    if (ready !== undefined) {
      this.messages += ready.count;
      this.bytes += ready.messageBytes;
      return [ready.frames];
    }
    const chunks = this.#owner.route.encode(message);
    this.messages++;
    this.bytes += sizeOf(chunks);
    return encodeFrame(chunks);
  }

  /** Waits until the stream has space. @throws the reason when the call is aborted meanwhile. */
  async #drained(): Promise<void> {
    const { context, stream } = this.#owner;
    if (context.abortReason === undefined) {
      await new Promise<void>((resolve) => {
        this.#onDrain = resolve;
        stream.once('drain', resolve);
      });
      this.#onDrain = undefined;
    }
    if (context.abortReason !== undefined) throw context.abortReason;
  }

  #headers(): OutgoingHttpHeaders {
    const extra = this.#owner.context.responseHeadersInUse;
    if (extra === undefined) return RESPONSE_HEADERS;
    const headers = { ...RESPONSE_HEADERS };
    addMetadata(headers, extra);
    return headers;
  }

  #trailers(failure: GitalyError | undefined): OutgoingHttpHeaders {
    const { context, stream } = this.#owner;
    const extra = context.trailersInUse;
    if (failure === undefined && extra === undefined) return OK_TRAILERS;
    const limit = stream.session?.remoteSettings.maxHeaderListSize ?? Number.POSITIVE_INFINITY;
    const trailers = failure === undefined ? { ...OK_TRAILERS } : errorHeaders(failure, limit);
    if (extra !== undefined) addMetadata(trailers, extra);
    return trailers;
  }
}

/** Ends a source of responses and ignores its errors: the call already has its status. */
async function returnQuietly(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // the call already has its status
  }
}

export function respondTrailersOnly(
  stream: ServerStream,
  trailers: OutgoingHttpHeaders,
  httpStatus = 200,
): void {
  if (stream.destroyed || stream.closed) return; // the client has disconnected
  stream.respond({ ...RESPONSE_HEADERS, ':status': httpStatus, ...trailers }, TRAILERS_ONLY);
  releaseSender(stream);
}

/** Responds with a status and a text, for someone who calls with a browser or curl. */
export function respondText(
  stream: ServerStream,
  trailers: OutgoingHttpHeaders,
  httpStatus: number,
  text: string,
): void {
  if (stream.destroyed || stream.closed) return; // the client has disconnected
  const headers = { ...trailers, ':status': httpStatus, 'content-type': 'text/plain; charset=utf-8' };
  stream.respond(headers, NO_DATE);
  stream.end(text);
  releaseSender(stream);
}

function endWith(stream: ServerStream, trailers: OutgoingHttpHeaders, frame: readonly Uint8Array[]): void {
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
function releaseSender(stream: ServerStream): void {
  if (!stream.readableEnded) setImmediate(closeWhenAnswered, stream);
}

function closeWhenAnswered(stream: ServerStream): void {
  if (stream.readableEnded || stream.destroyed) return;
  if (stream.state.localClose === 1) stream.close();
  else setTimeout(closeWhenAnswered, RELEASE_RETRY_MS, stream).unref();
}
