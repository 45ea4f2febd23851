import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import type {
  CallStream,
  CallStreamEvents,
  ClientSession,
  CommonHeaders,
  RequestHeaders,
} from './client-session.ts';
import { writeFrame } from './grpc-frame.ts';
import { SESSION_OPTIONS, setSessionWindow } from './http2-limits.ts';
import { keepStreamsBriefly } from './session-streams.ts';

/** Assumed limit on streams until the server's settings arrive (RFC 9113, 6.5.2: no limit). */
const PEER_MAX_CONCURRENT_STREAMS = 2_147_483_647;

/** A session of `node:http2`. */
export class NodeSession implements ClientSession {
  readonly #session: ClientHttp2Session;
  readonly #common: CommonHeaders;
  readonly closed: Promise<void>;
  #isDraining = false;
  #error: Error | undefined;

  constructor(duplex: Duplex, common: CommonHeaders) {
    this.#common = common;
    // The scheme of requests is in their headers.
    const session = connect('http://localhost', {
      ...SESSION_OPTIONS,
      peerMaxConcurrentStreams: PEER_MAX_CONCURRENT_STREAMS,
      createConnection: () => duplex,
    });
    keepStreamsBriefly(session);
    this.#session = session;
    const setWindow = (): void => {
      if (!session.destroyed) setSessionWindow(session);
    };
    if (session.connecting) session.once('connect', setWindow);
    else setWindow();
    session.on('goaway', () => {
      this.#isDraining = true;
    });
    session.on('error', (error) => {
      this.#error = error;
    });
    this.closed = new Promise((resolve) => session.once('close', resolve));
  }

  get isDestroyed(): boolean {
    return this.#session.destroyed;
  }

  get isClosing(): boolean {
    return this.#isDraining || this.#session.closed;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  request({ path, pairs }: RequestHeaders, events: CallStreamEvents): CallStream {
    // A flat list of names and values saves Node two objects per call.
    const headers = [...this.#common.before, path, ...this.#common.after, ...pairs];
    return new NodeStream(this.#session.request(headers), events);
  }

  ping(): Promise<number> {
    return new Promise((resolve, reject) => {
      const session = this.#session;
      const send = (): void => {
        const isSent =
          !session.destroyed &&
          session.ping((error, durationMs) => (error === null ? resolve(durationMs) : reject(error)));
        if (!isSent) reject(this.#error);
      };
      if (session.connecting) session.once('connect', send).once('close', send);
      else send();
    });
  }

  close(): void {
    this.#session.close();
  }

  destroy(error?: Error): void {
    this.#session.destroy(error, constants.NGHTTP2_NO_ERROR);
  }
}

class NodeStream implements CallStream {
  readonly #stream: ClientHttp2Stream;
  readonly #events: CallStreamEvents;

  constructor(stream: ClientHttp2Stream, events: CallStreamEvents) {
    this.#stream = stream;
    this.#events = events;
    stream.on('response', (_headers, _flags, rawHeaders) => events.onHeaders(rawHeaders));
    stream.on('trailers', (_headers, _flags, rawHeaders) => events.onTrailers(rawHeaders));
    stream.on('data', (chunk: Buffer) => events.onData(chunk));
    stream.on('end', () => events.onEnd());
    stream.on('close', () => events.onClose());
    stream.on('error', ignore); // `close` reports it
  }

  get resetCode(): number {
    return this.#stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
  }

  get isWritable(): boolean {
    return !this.#stream.closed && !this.#stream.destroyed && !this.#stream.writableEnded;
  }

  get isEnded(): boolean {
    return this.#stream.writableEnded;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (writeFrame(this.#stream, chunks)) return true;
    this.#stream.once('drain', () => this.#events.onDrain());
    return false;
  }

  end(chunks: readonly Uint8Array[]): void {
    const [first] = chunks;
    if (chunks.length === 1) {
      this.#stream.end(first);
      return;
    }
    if (first !== undefined) writeFrame(this.#stream, chunks);
    this.#stream.end();
  }

  reset(code: number): void {
    this.#stream.close(code);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}

function ignore(): void {}
