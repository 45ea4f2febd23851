import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { MAX_CONCURRENT_STREAMS, SESSION_OPTIONS, SESSION_WINDOW_BYTES } from '#rpc/common/http2-limits';
import { HANDSHAKE_TIMEOUT_MS, LINGER_MS, MAX_PING_STRIKES, STREAM_RESET_BURST, STREAM_RESET_RATE } from './connection-limits.ts';

/** When the server asks whether the peer is alive, and how often the peer may ask us. */
export interface KeepalivePolicy {
  /** A connection on which nothing was received for this long is pinged. */
  readonly pingAfterMs: number;
  /** Without any answer after this long it is cut. */
  readonly pingTimeoutMs: number;
  /** Client pings closer together than this are strikes, with and without running calls; the third is too many. */
  readonly minClientPingIntervalMs: number;
  /** A connection that sends no valid HTTP/2 preface and settings for this long is cut. */
  readonly handshakeTimeoutMs: number;
}

/** Gitaly's policy; the handshake timeout is grpc-go's. */
export const DEFAULT_KEEPALIVE: KeepalivePolicy = {
  pingAfterMs: 300_000,
  pingTimeoutMs: 20_000,
  minClientPingIntervalMs: 10_000,
  handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
};

export interface ConnectionEvents {
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[]): void;
  /** Called once. */
  onClose(error: Error | undefined): void;
}

/** The HTTP/2 session of one connection: limits, keepalive in both directions, draining. */
export class ServerConnection {
  readonly #duplex: Duplex;
  readonly #session: ServerHttp2Session;
  readonly #policy: KeepalivePolicy;
  readonly #keepalive: NodeJS.Timeout;
  readonly #handshake: NodeJS.Timeout;
  #pingTimeout: NodeJS.Timeout | undefined;
  #error: Error | undefined;
  /** Something was received since the last keepalive tick. */
  #isAlive = true;
  #strikes = 0;
  #lastPingAtMs = Number.NEGATIVE_INFINITY;
  /**
   * Data may have left since the last ping: it was handed over since then, or waited for room at that time. Window estimators ping around
   * data, that is no offence (as in grpc-go).
   */
  #hasSent = false;
  /** Streams that were given data and are not closed. */
  readonly #sending = new Set<ServerHttp2Stream>();
  /** To be called whenever headers or messages are handed to a stream. */
  readonly onSent = (stream: ServerHttp2Stream): void => {
    this.#hasSent = true;
    if (this.#sending.has(stream)) return;
    this.#sending.add(stream);
    stream.once('close', () => this.#sending.delete(stream));
  };

  constructor(duplex: Duplex, policy: KeepalivePolicy, events: ConnectionEvents) {
    this.#duplex = duplex;
    this.#policy = policy;
    joinWaiting(duplex);
    const session = performServerHandshake(duplex, {
      ...SESSION_OPTIONS,
      settings: { ...SESSION_OPTIONS.settings, maxConcurrentStreams: MAX_CONCURRENT_STREAMS },
      streamResetBurst: STREAM_RESET_BURST,
      streamResetRate: STREAM_RESET_RATE,
    });
    this.#session = session;
    this.#keepalive = setInterval(() => this.#checkAlive(), policy.pingAfterMs).unref();
    this.#handshake = setTimeout(() => this.destroy(), policy.handshakeTimeoutMs).unref();
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.once('remoteSettings', () => clearTimeout(this.#handshake));
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      this.#isAlive = true;
      events.onStream(stream, headers, rawHeaders);
    });
    session.on('ping', () => this.#onPing());
    session.on('error', (error) => {
      this.#error = error;
    });
    session.on('close', () => {
      clearInterval(this.#keepalive);
      clearTimeout(this.#handshake);
      clearTimeout(this.#pingTimeout);
      events.onClose(this.#error);
    });
  }

  /**
   * Ends the connection gracefully: GOAWAY, running calls finish, then close. A call that crosses the GOAWAY on its way was not
   * processed, and clients may send it again elsewhere.
   */
  drain(): void {
    if (this.#session.closed || this.#session.destroyed) return;
    this.#duplex.once('finish', () => this.#cutLater()); // the peer need not close its half
    this.#session.close();
  }

  /** Cuts the connection; running streams are reset. */
  destroy(error?: Error): void {
    this.#session.destroy(error);
    this.#cutLater();
  }

  /** Leaves the last frames a moment to go out; a peer that does not read cannot hold the connection open. */
  #cutLater(): void {
    setTimeout(() => this.#duplex.destroy(), LINGER_MS).unref();
  }

  #checkAlive(): void {
    if (this.#isAlive) {
      this.#isAlive = false;
      return;
    }
    if (this.#pingTimeout !== undefined || this.#session.destroyed) return;
    this.#pingTimeout = setTimeout(() => {
      this.#pingTimeout = undefined;
      if (!this.#isAlive) this.destroy(new Error('keepalive ping not answered'));
    }, this.#policy.pingTimeoutMs).unref();
    this.#session.ping(() => {
      this.#isAlive = true;
      clearTimeout(this.#pingTimeout);
      this.#pingTimeout = undefined;
    });
  }

  /** Whether data waits for room in the client's windows, or in the socket. */
  #isSending(): boolean {
    for (const stream of this.#sending) if (stream.writableLength > 0) return true;
    return false;
  }

  #onPing(): void {
    this.#isAlive = true;
    const now = performance.now();
    const sinceLastMs = now - this.#lastPingAtMs;
    this.#lastPingAtMs = now;
    const isSending = this.#isSending();
    if (this.#hasSent || isSending) {
      this.#hasSent = isSending;
      this.#strikes = 0;
      return;
    }
    if (sinceLastMs >= this.#policy.minClientPingIntervalMs) return;
    this.#strikes++;
    if (this.#strikes <= MAX_PING_STRIKES) return;
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
    setImmediate(() => this.destroy());
  }
}

/**
 * Makes one piece of the bytes that wait in a stream. `node:http2` gives waiting pieces to its parser one after the other, and when the
 * first has ended the session already, the next one throws where nobody can catch it: eleven wrong bytes would end the process.
 */
function joinWaiting(duplex: Duplex): void {
  const pieces: Buffer[] = [];
  while (duplex.readableLength > 0) {
    const piece: Buffer | null = duplex.read();
    if (piece === null) break;
    pieces.push(piece);
  }
  if (pieces.length > 0) duplex.unshift(Buffer.concat(pieces));
}
