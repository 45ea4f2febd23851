import { constants, type OutgoingHttpHeaders } from 'node:http2';
import { Writable } from 'node:stream';
import type { CallStream, CallStreamEvents } from '#rpc/common/grpc/client-session';
import type { ServerStream } from '../call/server-stream.ts';

type Done = (error?: Error | null) => void;

/** Bytes of responses that wait for a client that does not read. */
const HIGH_WATER_BYTES = 65_536;
/** Bytes that are passed on before others have their turn. */
const BYTES_PER_TURN = 65_536;

/**
 * The stream of a call between a client and a server in one process, without HTTP/2. It behaves as
 * one: bytes are copied, a slow reader delays the writer, and either side may reset it.
 */
export class LocalStream extends Writable implements ServerStream {
  headersSent = false;
  rstCode: number = constants.NGHTTP2_NO_ERROR;
  readableEnded = false;
  readonly state = { localClose: 0 };
  /** The client's side. */
  readonly client: CallStream;
  readonly #events: CallStreamEvents;
  #request: { readonly onData: (chunk: Buffer) => void; readonly onEnd: () => void } | undefined;
  /** Bytes that the client sends before the call has started. */
  #early: Buffer[] = [];
  #hasEnded = false;
  #isRequestPaused = false;
  #clientWaits = false;
  #isResponsePaused = false;
  /** Completes the write that waits for the client. */
  #held: Done | undefined;
  #bytesThisTurn = 0;

  constructor(events: CallStreamEvents) {
    super({ highWaterMark: HIGH_WATER_BYTES });
    this.#events = events;
    this.client = this.#clientSide();
    this.on('error', () => {}); // the call learns of a reset by `aborted`
  }

  #clientSide(): CallStream {
    const stream = this;
    return {
      get resetCode() {
        return stream.rstCode;
      },
      get isWritable() {
        return !stream.#hasEnded && !stream.destroyed;
      },
      get isEnded() {
        return stream.#hasEnded;
      },
      write: (chunks) => stream.#send(chunks),
      end: (chunks) => stream.#endRequest(chunks),
      reset: () => stream.#resetByClient(),
      pause: () => {
        stream.#isResponsePaused = true;
      },
      resume: () => stream.#resumeResponse(),
    };
  }

  /** Delivers the request, from its first byte on. */
  start(onData: (chunk: Buffer) => void, onEnd: () => void): void {
    this.#request = { onData, onEnd };
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) onData(chunk);
    if (this.#hasEnded) this.#deliverEnd();
    else if (!this.#isRequestPaused) this.resume();
  }

  #send(chunks: readonly Uint8Array[]): boolean {
    if (this.destroyed) return true;
    const bytes = Buffer.concat(chunks);
    if (this.#request === undefined) this.#early.push(bytes);
    else this.#request.onData(bytes);
    this.#clientWaits = this.#request === undefined || this.#isRequestPaused;
    return !this.#clientWaits;
  }

  #endRequest(chunks: readonly Uint8Array[]): void {
    if (this.destroyed) return;
    if (chunks.length > 0) this.#send(chunks);
    this.#hasEnded = true;
    if (this.#request !== undefined) this.#deliverEnd();
  }

  #deliverEnd(): void {
    this.readableEnded = true;
    this.#request?.onEnd();
  }

  #resetByClient(): void {
    if (this.destroyed) return;
    const isOver = this.writableFinished;
    this.destroy();
    if (!isOver) this.emit('aborted');
  }

  #resumeResponse(): void {
    this.#isResponsePaused = false;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  pause(): void {
    this.#isRequestPaused = true;
  }

  resume(): void {
    this.#isRequestPaused = false;
    if (!this.#clientWaits) return;
    this.#clientWaits = false;
    this.#events.onDrain();
  }

  respond(headers: OutgoingHttpHeaders, { endStream = false } = {}): void {
    this.headersSent = true;
    this.#events.onHeaders(pairsOf(headers));
    if (endStream) this.end();
  }

  sendTrailers(headers: OutgoingHttpHeaders): void {
    this.#events.onTrailers(pairsOf(headers));
  }

  close(code: number = constants.NGHTTP2_NO_ERROR): void {
    if (this.destroyed) return;
    this.rstCode = code;
    this.destroy();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#respondWith(Buffer.from(chunk), done);
  }

  override _writev(items: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#respondWith(Buffer.concat(items.map(({ chunk }) => chunk)), done);
  }

  #respondWith(bytes: Buffer, done: Done): void {
    this.#events.onData(bytes);
    this.#bytesThisTurn += bytes.length;
    if (this.destroyed) done();
    else if (this.#isResponsePaused) this.#held = done;
    else if (this.#bytesThisTurn < BYTES_PER_TURN) done();
    else setImmediate(() => this.#nextTurn(done));
  }

  #nextTurn(done: Done): void {
    this.#bytesThisTurn = 0;
    if (this.#isResponsePaused && !this.destroyed) this.#held = done;
    else done();
  }

  override _final(done: Done): void {
    this.emit('wantTrailers');
    this.state.localClose = 1;
    if (!this.destroyed) this.#events.onEnd();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
    this.#early = [];
    this.#events.onClose();
    done(error);
  }
}

/** Returns headers as HTTP/2 delivers them. */
function pairsOf(headers: OutgoingHttpHeaders): string[] {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (Array.isArray(value)) for (const each of value) pairs.push(name, each);
    else if (value !== undefined) pairs.push(name, String(value));
  }
  return pairs;
}
