import { getPackedSettings } from 'node:http2';
import type { Duplex } from 'node:stream';
import { connectionFrame, Flag, FRAME_HEADER_BYTES, FrameType } from '#rpc/common/http2/frame';
import { readUpTo } from '#rpc/common/read-up-to';
import { Arrivals } from '../connection/arrivals.ts';
import { SERVER_SETTINGS } from '../server-settings.ts';
import { AuthorityRewriter } from './authority-rewriter.ts';
import { findAuthority, kindOfAuthority, readAuthorization } from './find-authority.ts';
import { FrameScanner, type Http2Frame, headerBlock } from './frame-scanner.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/**
 * Limit of the bytes that are kept of a client before its first request and its acknowledgement. A
 * client that sends more is passed on. The longest headers fit, and the data that the first window
 * allows.
 */
const MAX_KEPT_BYTES = 256 * 1024;
const MAX_PINGS = 1000;
/**
 * Limit for all connections together. Above it, connections that send more are passed on at once.
 */
const MAX_KEPT_BYTES_OF_ALL = 64 << 20;

/**
 * Time limits for a first request: after the client's acknowledgement of our settings, and without
 * it. gRPC clients send their first request together with the acknowledgement. Most clients that
 * connect ahead of their calls are passed on after this time. So are those that wait for an
 * acknowledgement of their own settings, which only `node:http2` sends.
 */
const FIRST_REQUEST_MS = 50;
const ACKNOWLEDGEMENT_MS = 200;

/** Frames that are errors before the first request: data, resets, promises, continued headers. */
const OF_REQUESTS: ReadonlySet<number> = new Set([
  FrameType.DATA,
  FrameType.RST_STREAM,
  FrameType.PUSH_PROMISE,
  FrameType.CONTINUATION,
]);

export interface FirstRequestOptions {
  /** Ends the wait for the preface and the settings of the client. */
  readonly signal: AbortSignal;
  /** Counts the bytes that are kept for all connections. */
  readonly arrivals?: Arrivals | undefined;
  /**
   * Reports whether a client may send blocks of headers that are not measured, by the
   * `authorization` of its first request. By default every client may.
   */
  readonly isTrusted?: ((authorization: string | undefined) => boolean) | undefined;
}

/**
 * Waits a short time for the first request of a connection, and returns what `node:http2` is to
 * read: the connection itself if it accepts the authority of the request, otherwise an {@link
 * AuthorityRewriter} on top. A client without a valid token, or one that has not sent a request by
 * then, gets the rewriter, too.
 *
 * Most clients send nothing before they have our settings, so these are sent here. `node:http2`
 * sends them again, and the client's first acknowledgement is dropped. All other bytes are put
 * back: `node:http2` acknowledges the client's settings.
 *
 * @returns the connection itself too for a client that sends something else first: `node:http2`
 *   decides on it. undefined if the connection has ended.
 * @throws the error of the connection; the abort reason.
 */
export async function awaitFirstRequest(
  connection: Duplex,
  { signal, arrivals, isTrusted = () => true }: FirstRequestOptions,
): Promise<Duplex | undefined> {
  let hasPreface = false;
  await readUpTo(connection, PREFACE.length, {
    signal,
    isTaken: (start) => {
      hasPreface = start.equals(PREFACE);
      return hasPreface;
    },
  });
  if (!hasPreface) return connection;
  using client = new WaitingClient(connection, isTrusted, arrivals);
  using patience = new Patience();
  connection.write(connectionFrame(FrameType.SETTINGS, 0, getPackedSettings(SERVER_SETTINGS)));
  while (!client.isDecided && !patience.signal.aborted) {
    const chunk = await nextChunk(connection, client.hasSettings ? patience.signal : signal).catch(
      (error) => {
        if (!patience.signal.aborted || connection.destroyed) throw error;
      },
    );
    if (chunk === undefined) break;
    client.take(chunk);
    if (client.hasSettings) patience.limit(client.isAcknowledged ? FIRST_REQUEST_MS : ACKNOWLEDGEMENT_MS);
  }
  return connection.readableEnded ? undefined : client.passOn();
}

/** The time limit for a first request. */
class Patience {
  readonly #end = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #limitMs: number | undefined;

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Starts to wait, or shortens the wait. */
  limit(limitMs: number): void {
    if (this.#limitMs === limitMs) return;
    clearTimeout(this.#timer);
    this.#limitMs = limitMs;
    this.#timer = setTimeout(() => this.#end.abort(), limitMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** A client that has not sent a whole request yet, with the bytes that it has sent. */
class WaitingClient {
  readonly #connection: Duplex;
  readonly #arrivals: Arrivals;
  readonly #trusts: (authorization: string | undefined) => boolean;
  #scanner = new FrameScanner();
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #pings = 0;
  #hasRequest = false;
  #needsRewriter = false;
  /** Set for a client that is passed on to `node:http2`, which ends its connection. */
  #isUnusual = false;
  /** Set when more than the limits is kept: the client is passed on before its acknowledgement. */
  #isOverLimit = false;
  /** True once the client has sent its settings. */
  hasSettings = false;
  /** True once the client has acknowledged our settings. */
  isAcknowledged = false;

  constructor(
    connection: Duplex,
    isTrusted: (authorization: string | undefined) => boolean,
    arrivals: Arrivals = new Arrivals(),
  ) {
    this.#connection = connection;
    this.#trusts = isTrusted;
    this.#arrivals = arrivals;
  }

  [Symbol.dispose](): void {
    this.#arrivals.keptBytes -= this.#keptBytes;
  }

  get isDecided(): boolean {
    return this.#isUnusual || this.#isOverLimit || (this.#hasRequest && this.isAcknowledged);
  }

  take(chunk: Buffer): void {
    const waiting = this.#scanner.pending;
    try {
      for (const each of this.#scanner.add(chunk)) this.#takeFrame(each);
    } catch {
      this.#keep(waiting, chunk);
      this.#scanner = new FrameScanner();
      this.#isUnusual = true;
    }
    const isTooMuch = this.#keptBytes > MAX_KEPT_BYTES || this.#arrivals.keptBytes > MAX_KEPT_BYTES_OF_ALL;
    this.#isOverLimit = isTooMuch || this.#pings > MAX_PINGS;
  }

  /** Puts the kept bytes back and returns the stream to read instead of the connection. */
  passOn(): Duplex {
    this.#connection.unshift(Buffer.concat([PREFACE, ...this.#kept, this.#scanner.pending]));
    // A first request that has not arrived yet may have any authority and no token.
    const hasProof = this.#hasRequest || this.#trusts(undefined);
    // `node:http2` ends a connection whose client acknowledges both settings.
    const isEarly = this.#isOverLimit && !this.isAcknowledged;
    if (this.isDecided && hasProof && !this.#needsRewriter && !isEarly) return this.#connection;
    return new AuthorityRewriter(this.#connection, { dropsAcknowledgement: !this.isAcknowledged });
  }

  #takeFrame(each: Http2Frame): void {
    const { type, flags, bytes } = each;
    const isAcknowledgement = (flags & Flag.ACK) !== 0;
    if (type === FrameType.SETTINGS && isAcknowledgement && !this.isAcknowledged) {
      this.isAcknowledged = true;
      return;
    }
    if (type === FrameType.PING && !isAcknowledgement) {
      this.#pings++;
      this.#connection.write(connectionFrame(FrameType.PING, Flag.ACK, bytes.subarray(FRAME_HEADER_BYTES)));
      return;
    }
    if (type === FrameType.SETTINGS) this.hasSettings = true;
    else if (!this.hasSettings || (!this.#hasRequest && OF_REQUESTS.has(type))) this.#isUnusual = true;
    if (type === FrameType.HEADERS && !this.#hasRequest) {
      this.#hasRequest = true;
      const block = headerBlock(each);
      const authority = findAuthority(block);
      this.#needsRewriter =
        (authority !== undefined && kindOfAuthority(block, authority) === 'to-replace') ||
        !this.#trusts(readAuthorization(block));
    }
    this.#keep(bytes);
  }

  #keep(...pieces: readonly Buffer[]): void {
    for (const piece of pieces) {
      this.#kept.push(piece);
      this.#keptBytes += piece.length;
      this.#arrivals.keptBytes += piece.length;
    }
  }
}

/** Reads all available bytes, at least one. Returns undefined at the end. */
async function nextChunk(connection: Duplex, signal: AbortSignal): Promise<Buffer | undefined> {
  const first = await readUpTo(connection, 1, { signal });
  if (first.length === 0) return undefined;
  const rest: Buffer | null = connection.read();
  return rest === null ? first : Buffer.concat([first, rest]);
}
