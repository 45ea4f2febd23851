import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { BriefSet } from '#base/memory/brief-set';
import { SESSION_OPTIONS, setSessionWindow } from '#rpc/common/grpc/http2-limits';
import { keepStreamsBriefly } from '#rpc/common/grpc/session-streams';
import type { ServerStream } from '../call/server-stream.ts';
import { SERVER_SETTINGS } from '../server-settings.ts';
import {
  DRAIN_MS,
  HANDSHAKE_TIMEOUT_MS,
  LAST_READ_MS,
  MAX_PING_STRIKES,
  NGHTTP2_RESET_BURST,
  STREAM_RESET_BURST,
  STREAM_RESET_RATE,
} from './connection-limits.ts';

/** A violation of the protocol, as nghttp2 reports it. */
const NGHTTP2_ERR_PROTO = -505;

/** Settings for pings in both directions. */
export interface KeepalivePolicy {
  /** Time without received data after which the connection is pinged. */
  readonly pingAfterMs: number;
  /** Time without a response to the ping after which the connection is closed. */
  readonly pingTimeoutMs: number;
  /**
   * Minimum interval between client pings, with and without running calls. A shorter one is a
   * strike; the third strike closes the connection.
   */
  readonly minClientPingIntervalMs: number;
  /** Time limit for a valid HTTP/2 preface and settings, after which the connection is closed. */
  readonly handshakeTimeoutMs: number;
}

/** Gitaly's settings; the handshake timeout is grpc-go's. */
export const DEFAULT_KEEPALIVE: KeepalivePolicy = {
  pingAfterMs: 300_000,
  pingTimeoutMs: 20_000,
  minClientPingIntervalMs: 10_000,
  handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
};

export interface ConnectionEvents {
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[]): void;
  /** Called once, when the connection has closed; without an error if the client has ended it. */
  onClose(error: Error | undefined): void;
}

/** A stream with headers or messages to send. */
export interface ResponseSender {
  readonly stream: ServerStream;
  /** Set by the connection. */
  hasSent: boolean;
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
  /** True if data was received since the last keepalive tick. */
  #isAlive = true;
  #strikes = 0;
  #lastPingAtMs = Number.NEGATIVE_INFINITY;
  /**
   * True if data may have been sent since the last ping: it was queued since then, or waited for
   * space at that time. Window estimators ping around data, which is no strike (as in grpc-go).
   */
  #hasSent = false;
  #resetsLeft = STREAM_RESET_BURST;
  #lastResetAtMs = 0;
  /** True if it is being closed for too many resets. */
  #isOver = false;
  #isDraining = false;
  #streams = 0;
  /** Streams that had not ended when the session did. */
  #openStreams = 0;
  /** Calls since the server last compared its connections; 0 for a client in this process. */
  recentCalls = 0;
  /** Open streams to which data was written. */
  readonly #sending = new BriefSet<ServerStream>();
  /** Records that headers or messages are written to a stream. */
  readonly onSent = (sender: ResponseSender): void => {
    this.#hasSent = true;
    if (sender.hasSent) return;
    sender.hasSent = true;
    const member = this.#sending.add(sender.stream);
    sender.stream.once('close', () => this.#sending.delete(member));
  };

  constructor(duplex: Duplex, policy: KeepalivePolicy, events: ConnectionEvents) {
    this.#duplex = duplex;
    this.#policy = policy;
    joinWaiting(duplex);
    const session = performServerHandshake(duplex, {
      ...SESSION_OPTIONS,
      settings: SERVER_SETTINGS,
      streamResetBurst: NGHTTP2_RESET_BURST,
      streamResetRate: STREAM_RESET_RATE,
    });
    keepStreamsBriefly(session);
    this.#session = session;
    this.#keepalive = setInterval(() => this.#checkAlive(), policy.pingAfterMs).unref();
    this.#handshake = setTimeout(() => this.destroy(), policy.handshakeTimeoutMs).unref();
    setSessionWindow(session);
    session.once('remoteSettings', () => clearTimeout(this.#handshake));
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      this.#isAlive = true;
      this.#streams++;
      this.#openStreams++;
      stream.on('close', () => {
        if (session.destroyed) return; // the end of the connection, which resets all of them
        this.#openStreams--;
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.#onReset();
      });
      events.onStream(stream, headers, rawHeaders);
    });
    session.on('ping', () => this.#onPing());
    session.on('error', (error) => {
      if (!this.#isFarewell(error)) this.#error = error;
    });
    session.on('close', () => {
      clearInterval(this.#keepalive);
      clearTimeout(this.#handshake);
      events.onClose(this.#error);
    });
  }

  /**
   * Ends the connection gracefully: GOAWAY, running calls finish, then close. A call that crosses
   * the GOAWAY was not processed, and clients may retry it on another connection.
   */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#duplex.once('finish', () => this.#cutLater(LAST_READ_MS)); // the peer need not close its side
    this.#session.close();
  }

  /**
   * Drains a new connection once the client's settings and the calls that came with them have
   * arrived. Before that, many clients would take the end of the connection for a failed server.
   */
  drainAfterHandshake(): void {
    const timer = setTimeout(() => this.drain(), DRAIN_MS).unref();
    this.#session.once('remoteSettings', () => {
      clearTimeout(timer);
      setImmediate(() => this.drain());
    });
  }

  /** True once the client has been requested to leave. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Closes the connection; running streams are reset. */
  destroy(error?: Error): void {
    this.#session.destroy(error);
    this.#cutLater();
  }

  /**
   * Closes the connection after a delay for the last frames; a peer that does not read cannot keep
   * it open.
   */
  #cutLater(afterMs = DRAIN_MS): void {
    setTimeout(() => this.#duplex.destroy(), afterMs).unref();
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

  /** Reports whether data waits for space in the client's windows or in the socket. */
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
    this.#calm('too_many_pings');
  }

  /**
   * Reports whether an error is that of a GOAWAY with which grpc-go ends a connection. Such a
   * GOAWAY names the client's own last stream, where RFC 9113 (6.8) requires one of the server's,
   * and nghttp2 reports that as a violation without details. So any violation counts as a GOAWAY if
   * calls have been served and none is running.
   */
  #isFarewell(error: Error): boolean {
    const isViolation = 'errno' in error && error.errno === NGHTTP2_ERR_PROTO;
    return isViolation && this.#streams > 0 && this.#openStreams === 0;
  }

  /** Counts a stream that the client has reset, whether or not it has been answered. */
  #onReset(): void {
    const now = performance.now();
    const regained = ((now - this.#lastResetAtMs) / 1000) * STREAM_RESET_RATE;
    this.#lastResetAtMs = now;
    this.#resetsLeft = Math.min(STREAM_RESET_BURST, this.#resetsLeft + regained) - 1;
    if (this.#resetsLeft >= 0 || this.#isOver) return;
    this.#isOver = true;
    this.#calm('too_many_resets', new Error('the client has reset too many streams'));
  }

  /** Ends the connection of a client that sends too much. The client receives the reason. */
  #calm(reason: string, error?: Error): void {
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from(reason));
    setImmediate(() => {
      if (error === undefined) this.#session.destroy();
      else this.#session.destroy(error, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      this.#cutLater();
    });
  }
}

/**
 * Joins the bytes buffered in a stream. `node:http2` passes buffered chunks to its parser one after
 * the other. If the first one ends the session, the next one throws where it cannot be caught:
 * eleven wrong bytes would end the process.
 */
function joinWaiting(duplex: Duplex): void {
  const pieces: Buffer[] = [];
  while (duplex.readableLength > 0) pieces.push(duplex.read());
  if (pieces.length > 0) duplex.unshift(Buffer.concat(pieces));
}
