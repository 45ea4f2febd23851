import { Duplex } from 'node:stream';
import { Flag, FrameType } from '#rpc/common/http2/frame';
import { findAuthority, kindOfAuthority, replaceAuthority } from './find-authority.ts';
import { FrameScanner, type Http2Frame, headerBlock } from './frame-scanner.ts';

type Done = (error?: Error | null) => void;

const PREFACE_BYTES = 24;

/**
 * A connection of which `node:http2` reads requests with any `:authority`. nghttp2 resets a request
 * whose authority has other characters than a host and a port; grpc-go up to 1.48 sends the path of
 * the Unix socket in it. The value is used nowhere, so each such one is replaced by a host name
 * before the bytes are parsed.
 *
 * Bytes pass through JavaScript in both directions, at almost twice the cost of a socket that
 * `node:http2` reads itself.
 */
export class AuthorityRewriter extends Duplex {
  readonly #connection: Duplex;
  readonly #scanner = new FrameScanner();
  #prefaceBytesLeft = PREFACE_BYTES;
  /** Set when the frames make no sense: what follows is passed on for the parser to refuse. */
  #isLost = false;

  /** True until a SETTINGS frame with ACK has been left out. */
  #dropsAcknowledgement: boolean;

  /**
   * @param options.dropsAcknowledgement leaves out the first acknowledgement of settings: those of a
   *   server that sent them before `node:http2` does.
   */
  constructor(connection: Duplex, { dropsAcknowledgement = false } = {}) {
    super({ highWaterMark: 64 * 1024 });
    this.#connection = connection;
    this.#dropsAcknowledgement = dropsAcknowledgement;
    this.on('error', () => {}); // the session reports it
    connection.on('data', (chunk: Buffer) => this.#take(chunk));
    connection.on('end', () => this.push(null));
    connection.on('error', (error) => this.destroy(error));
    connection.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#connection.write(chunk, done);
  }

  override _writev(items: { chunk: Buffer }[], done: Done): void {
    this.#connection.cork();
    for (const [index, { chunk }] of items.entries())
      this.#connection.write(chunk, index === items.length - 1 ? done : undefined);
    this.#connection.uncork();
  }

  override _final(done: Done): void {
    this.#connection.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#connection.destroy(error ?? undefined);
    done(error);
  }

  #take(chunk: Buffer): void {
    const preface = chunk.subarray(0, this.#prefaceBytesLeft);
    this.#prefaceBytesLeft -= preface.length;
    const isTaken = [preface, ...this.#rewritten(chunk.subarray(preface.length))]
      .filter((piece) => piece.length > 0)
      .map((piece) => this.push(piece));
    if (isTaken.includes(false)) this.#connection.pause();
  }

  #rewritten(bytes: Buffer): Buffer[] {
    if (this.#isLost || bytes.length === 0) return [bytes];
    const waiting = this.#scanner.pending;
    try {
      return this.#scanner.add(bytes).map((frame) => this.#rewrittenFrame(frame));
    } catch {
      this.#isLost = true;
      return [waiting, bytes];
    }
  }

  #rewrittenFrame(frame: Http2Frame): Buffer {
    if (this.#dropsAcknowledgement && frame.type === FrameType.SETTINGS && (frame.flags & Flag.ACK) !== 0) {
      this.#dropsAcknowledgement = false;
      return Buffer.alloc(0);
    }
    if (frame.type !== FrameType.HEADERS) return frame.bytes;
    const block = headerBlock(frame);
    const authority = findAuthority(block);
    if (authority !== undefined && kindOfAuthority(block, authority) === 'to-replace')
      replaceAuthority(block, authority);
    return frame.bytes;
  }
}
