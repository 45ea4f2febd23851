import { Duplex } from 'node:stream';
import { MAX_HEADER_PAIRS, MAX_REQUEST_HEADER_LIST_BYTES } from '#rpc/common/grpc/http2-limits';
import { BlockMeter } from '#rpc/common/http2/block-meter';
import { ConnectionError } from '#rpc/common/http2/connection-error';
import { connectionFrame, Flag, FRAME_HEADER_BYTES, FrameType, uint32 } from '#rpc/common/http2/frame';
import { findAuthority, kindOfAuthority, replaceAuthority } from './find-authority.ts';
import { FrameScanner, type Http2Frame, headerBlock } from './frame-scanner.ts';

type Done = (error?: Error | null) => void;

const PREFACE_BYTES = 24;

/**
 * Blocks of headers above the limits of a request, after which the connection is closed:
 * `node:http2` resets their streams, but decodes each to its end, on the event loop.
 */
const MAX_TOO_LARGE_BLOCKS = 4;
/** In a GOAWAY: the server may have processed any request. */
const MAX_STREAM_ID = 0x7fff_ffff;

/**
 * A connection of which `node:http2` reads requests with any `:authority`. nghttp2 resets a request
 * whose authority has other characters than a host and a port; grpc-go up to 1.48 sends the path of
 * the Unix socket in it. The value is used nowhere, so each such one is replaced by a host name
 * before the bytes are parsed.
 *
 * A client that is not known to have a token is read through it as well: what its headers expand to
 * is measured, and after some lists above the limits the connection is closed.
 *
 * Bytes pass through JavaScript in both directions, at almost twice the cost of a socket that
 * `node:http2` reads itself.
 */
export class AuthorityRewriter extends Duplex {
  readonly #connection: Duplex;
  readonly #scanner = new FrameScanner();
  readonly #meter = new BlockMeter();
  /** Frames of a block that is not whole yet. */
  #block: Buffer[] = [];
  #tooLargeBlocks = 0;
  #prefaceBytesLeft = PREFACE_BYTES;
  /** Set when the frames are malformed: the rest is passed on so that the parser refuses it. */
  #isLost = false;

  /** True until a SETTINGS frame with ACK has been left out. */
  #dropsAcknowledgement: boolean;

  /**
   * @param options.dropsAcknowledgement leaves out the first acknowledgement of settings: it is for
   *   those that were sent before `node:http2` sends them.
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
      .map((piece) => this.destroyed || this.push(piece));
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
    if (frame.type === FrameType.HEADERS) {
      const block = headerBlock(frame);
      const authority = findAuthority(block);
      if (authority !== undefined && kindOfAuthority(block, authority) === 'to-replace')
        replaceAuthority(block, authority);
      this.#block = [block];
    } else if (frame.type === FrameType.CONTINUATION)
      this.#block.push(frame.bytes.subarray(FRAME_HEADER_BYTES));
    else return frame.bytes;
    // nghttp2 closes the connection at the ninth CONTINUATION frame.
    if ((frame.flags & Flag.END_HEADERS) !== 0) this.#measure(Buffer.concat(this.#block.splice(0)));
    return frame.bytes;
  }

  /** Closes the connection at a block that is malformed, or at one too many that is too large. */
  #measure(block: Buffer): void {
    try {
      const { bytes, pairs } = this.#meter.measure(block);
      if (bytes <= MAX_REQUEST_HEADER_LIST_BYTES && pairs <= MAX_HEADER_PAIRS) return;
      if (++this.#tooLargeBlocks <= MAX_TOO_LARGE_BLOCKS) return;
      throw new ConnectionError('ENHANCE_YOUR_CALM', 'the client has sent too large headers');
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      const reason = [uint32(MAX_STREAM_ID), uint32(error.code), Buffer.from(error.message)];
      this.#connection.write(connectionFrame(FrameType.GOAWAY, 0, Buffer.concat(reason)));
      this.destroy(error);
    }
  }
}
