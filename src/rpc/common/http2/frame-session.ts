import type { Duplex } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import type {
  CallStream,
  CallStreamEvents,
  ClientSession,
  CommonHeaders,
  RequestHeaders,
} from '../grpc/client-session.ts';
import {
  MAX_HEADER_PAIRS,
  MAX_RESPONSE_HEADER_LIST_BYTES,
  MAX_SEND_HEADER_BYTES,
  MAX_UNREAD_BYTES,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
} from '../grpc/http2-limits.ts';
import { ConnectionError, ErrorCode } from './connection-error.ts';
import { RequestEncoder } from './encode-headers.ts';
import {
  DEFAULT_WINDOW_BYTES,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  FrameType,
  Http2Setting,
  MAX_FRAME_BYTES,
  MAX_PEER_WINDOW_BYTES,
  putFrameHeader,
  uint31,
  uint32,
} from './frame.ts';
import { FrameOutput } from './frame-output.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { FrameStream, type FrameStreamHost } from './frame-stream.ts';
import { IncomingBlocks, withoutPadding } from './incoming-blocks.ts';
import { OpenStreams } from './open-streams.ts';
import { OutgoingPings } from './outgoing-pings.ts';
import { PeerSettings } from './peer-settings.ts';
import { ResponseBlocks } from './response-blocks.ts';
import { SessionWindow } from './session-window.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const NOTHING = Buffer.alloc(0);
/** Longest life of a connection after its last frame was queued. */
const DRAIN_MS = 200;
const PING_BYTES = 8;
const GOAWAY_BYTES = 8;
const UINT32_BYTES = 4;

/**
 * The client's side of an HTTP/2 connection (RFC 9113, 7541), for calls: a request with data, and
 * its response. It does without what such calls do not need: priorities, pushes and dynamic tables
 * of headers. `README.md` lists its limits.
 */
export class FrameSession implements ClientSession, FrameStreamHost {
  readonly closed: Promise<void>;
  readonly output: FrameOutput;
  sendWindowBytes = DEFAULT_WINDOW_BYTES;
  isDestroyed = false;
  isClosing = false;
  error: Error | undefined;
  readonly #socket: Duplex;
  readonly #encoder: RequestEncoder;
  readonly #splitter = new FrameSplitter((frame) => this.#onFrame(frame));
  readonly #incoming = new IncomingBlocks(MAX_RESPONSE_HEADER_LIST_BYTES);
  readonly #responses = new ResponseBlocks({
    maxListBytes: MAX_RESPONSE_HEADER_LIST_BYTES,
    maxPairs: MAX_HEADER_PAIRS,
  });
  readonly #peer = new PeerSettings();
  readonly #pings: OutgoingPings;
  readonly #streams = new OpenStreams((stream, id) => this.#open(stream, id));
  /** Streams with data that wait for the connection. */
  #blocked: FrameStream[] = [];
  readonly #receiveWindow: SessionWindow;
  #hasSettings = false;

  /**
   * Owns the connection from now on.
   *
   * @param maxUnreadBytes data of all streams that is not read, above which all of them wait.
   */
  constructor(socket: Duplex, common: CommonHeaders, maxUnreadBytes = MAX_UNREAD_BYTES) {
    this.#socket = socket;
    this.#receiveWindow = new SessionWindow(maxUnreadBytes);
    this.#encoder = new RequestEncoder(common);
    this.output = new FrameOutput(socket, () => this.#pumpBlocked());
    this.#pings = new OutgoingPings((payload) =>
      this.output.addFrame({ type: FrameType.PING, flags: 0, streamId: 0 }, payload),
    );
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#begin();
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    socket.on('end', () => {
      this.#end();
      socket.end();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end());
    if (socket.destroyed) this.#end();
  }

  request(headers: RequestHeaders, events: CallStreamEvents): CallStream {
    if (this.isClosing || this.isDestroyed)
      throw new GitalyError('UNAVAILABLE', 'the connection is draining');
    this.#checkSize(headers);
    const stream = new FrameStream(this, headers, events);
    this.#streams.add(stream, this.#peer.maxConcurrentStreams);
    return stream;
  }

  ping(): Promise<number> {
    return this.isDestroyed ? Promise.reject(this.error) : this.#pings.ping();
  }

  close(): void {
    this.isClosing = true;
    this.#endIfIdle();
  }

  destroy(error?: Error): void {
    this.#destroy(error, ErrorCode.NO_ERROR);
  }

  wait(stream: FrameStream): void {
    if (stream.isWaiting) return;
    stream.isWaiting = true;
    this.#blocked.push(stream);
  }

  hold(bytes: number): void {
    this.reportReleased(0, this.#receiveWindow.hold(bytes));
  }

  reportReleased(streamId: number, bytes: number): void {
    if (bytes === 0 || this.isDestroyed) return;
    this.output.addFrame({ type: FrameType.WINDOW_UPDATE, flags: 0, streamId }, uint32(bytes));
  }

  leave(stream: FrameStream): void {
    this.#streams.delete(stream);
    if (this.isDestroyed) return;
    this.#streams.openWaiting(this.#peer.maxConcurrentStreams);
    this.#endIfIdle();
  }

  /** @throws {GitalyError} INTERNAL for headers that are too long; text of grpc-go. */
  #checkSize(headers: RequestHeaders): void {
    if (this.#encoder.maxBytes(headers) <= MAX_FRAME_BYTES) return;
    const limit = Math.min(this.#peer.maxHeaderListBytes, MAX_SEND_HEADER_BYTES);
    if (this.#encoder.listBytes(headers) <= limit) return;
    const text = `header list size to send violates the maximum size (${limit} bytes) set by server`;
    throw new GitalyError('INTERNAL', text);
  }

  #begin(): void {
    const settings = [
      [Http2Setting.HEADER_TABLE_SIZE, 0],
      [Http2Setting.ENABLE_PUSH, 0],
      [Http2Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
      [Http2Setting.MAX_HEADER_LIST_SIZE, MAX_RESPONSE_HEADER_LIST_BYTES],
    ].map(([setting = 0, value = 0]) => Buffer.concat([uint32(setting).subarray(2), uint32(value)]));
    this.output.add(PREFACE.length, (buffer, at) => at + PREFACE.copy(buffer, at));
    this.output.addFrame({ type: FrameType.SETTINGS, flags: 0, streamId: 0 }, Buffer.concat(settings));
    this.reportReleased(0, SESSION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  #open(stream: FrameStream, id: number): void {
    this.#sendHeaders(stream.headers, id);
    stream.open(id, this.#peer.initialWindowBytes);
    if (!this.#streams.isExhausted) return;
    this.isClosing = true; // calls use another connection
    for (const waiting of this.#streams.after(id)) waiting.onReset(ErrorCode.REFUSED_STREAM);
  }

  #sendHeaders(headers: RequestHeaders, streamId: number): void {
    const maxBytes = this.#encoder.maxBytes(headers);
    if (maxBytes > MAX_FRAME_BYTES) {
      this.#sendLongHeaders(headers, streamId, maxBytes);
      return;
    }
    this.output.add(FRAME_HEADER_BYTES + maxBytes, (buffer, at) => {
      const end = this.#encoder.encode(headers, buffer, at + FRAME_HEADER_BYTES);
      const length = end - at - FRAME_HEADER_BYTES;
      putFrameHeader(buffer, at, { length, type: FrameType.HEADERS, flags: Flag.END_HEADERS, streamId });
      return end;
    });
  }

  /** Sends headers in several frames. */
  #sendLongHeaders(headers: RequestHeaders, streamId: number, maxBytes: number): void {
    const buffer = Buffer.allocUnsafeSlow(maxBytes);
    const block = buffer.subarray(0, this.#encoder.encode(headers, buffer, 0));
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
      const flags = at + MAX_FRAME_BYTES >= block.length ? Flag.END_HEADERS : 0;
      this.output.addFrame({ type, flags, streamId }, block.subarray(at, at + MAX_FRAME_BYTES));
    }
  }

  #pumpBlocked(): void {
    const streams = this.#blocked;
    this.#blocked = [];
    for (const stream of streams) {
      stream.isWaiting = false;
      stream.pump();
    }
  }

  #onBytes(chunk: Buffer): void {
    if (this.isDestroyed) return;
    try {
      this.#splitter.push(chunk);
    } catch (error) {
      const code = error instanceof ConnectionError ? error.code : ErrorCode.PROTOCOL_ERROR;
      this.#destroy(error instanceof Error ? error : new Error(String(error)), code);
    }
  }

  #onFrame(frame: Frame): void {
    if (!this.#hasSettings && (frame.type !== FrameType.SETTINGS || (frame.flags & Flag.ACK) !== 0))
      throw new ConnectionError('PROTOCOL_ERROR', 'the server does not begin with its settings');
    this.#incoming.checkOrder(frame);
    switch (frame.type) {
      case FrameType.DATA:
        this.#onData(frame);
        break;
      case FrameType.HEADERS:
      case FrameType.CONTINUATION:
        this.#onHeaders(frame);
        break;
      case FrameType.RST_STREAM:
        this.#onReset(frame);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(frame);
        break;
      case FrameType.SETTINGS:
        this.#onSettings(frame);
        break;
      case FrameType.PING:
        this.#onPing(frame);
        break;
      case FrameType.GOAWAY:
        this.#onGoAway(frame);
        break;
      case FrameType.PUSH_PROMISE:
        throw new ConnectionError('PROTOCOL_ERROR', 'pushes are disabled');
      default: // unknown frames are ignored, and so are priorities
    }
  }

  #onData(frame: Frame): void {
    const { length } = frame.payload;
    this.reportReleased(0, this.#receiveWindow.take(length));
    const stream = this.#streams.get(frame.streamId);
    const data = withoutPadding(frame);
    stream?.onData(data, length, (frame.flags & Flag.END_STREAM) !== 0);
  }

  #onHeaders(frame: Frame): void {
    const stream = this.#streams.get(frame.streamId);
    const complete = this.#incoming.add(frame);
    if (complete === undefined || stream === undefined) return; // no later block depends on this one
    stream.onBlock(this.#responses.read(complete.block), complete.isEnd);
  }

  #onReset(frame: Frame): void {
    const code = checkLength(frame, UINT32_BYTES).payload.readUInt32BE();
    this.#streams.get(frame.streamId)?.onReset(code);
  }

  #onWindowUpdate(frame: Frame): void {
    const bytes = uint31(checkLength(frame, UINT32_BYTES).payload, 0);
    if (frame.streamId !== 0) {
      const stream = this.#streams.get(frame.streamId);
      if (bytes === 0) stream?.reset(ErrorCode.PROTOCOL_ERROR);
      else stream?.addSendWindow(bytes);
      return;
    }
    if (bytes === 0) throw new ConnectionError('PROTOCOL_ERROR', 'a window is changed by nothing');
    this.sendWindowBytes += bytes;
    if (this.sendWindowBytes > MAX_PEER_WINDOW_BYTES)
      throw new ConnectionError('FLOW_CONTROL_ERROR', 'the window of the connection is too large');
    this.#pumpBlocked();
  }

  #onSettings(frame: Frame): void {
    checkConnectionFrame(frame);
    if ((frame.flags & Flag.ACK) !== 0) {
      checkLength(frame, 0);
      return;
    }
    this.#hasSettings = true;
    const before = this.#peer.initialWindowBytes;
    this.#peer.update(frame.payload);
    this.output.addControl({ type: FrameType.SETTINGS, flags: Flag.ACK, streamId: 0 }, NOTHING);
    const change = this.#peer.initialWindowBytes - before;
    if (change !== 0) for (const stream of this.#streams.after(0)) stream.addSendWindow(change);
    this.#streams.openWaiting(this.#peer.maxConcurrentStreams);
  }

  #onPing(frame: Frame): void {
    const { flags, payload } = checkLength(checkConnectionFrame(frame), PING_BYTES);
    if ((flags & Flag.ACK) !== 0) this.#pings.onResponse(payload);
    else this.output.addControl({ type: FrameType.PING, flags: Flag.ACK, streamId: 0 }, Buffer.from(payload));
  }

  /** Streams that the server has not seen are refused: their calls may be repeated. */
  #onGoAway(frame: Frame): void {
    const { payload } = checkConnectionFrame(frame);
    if (payload.length < GOAWAY_BYTES) throw new ConnectionError('FRAME_SIZE_ERROR', 'a frame is cut off');
    const lastId = uint31(payload, 0);
    const code = payload.readUInt32BE(4);
    this.isClosing = true;
    for (const stream of this.#streams.after(lastId)) stream.onReset(ErrorCode.REFUSED_STREAM);
    if (code !== ErrorCode.NO_ERROR)
      this.#destroy(new Error(`Session closed with error code ${code}`), ErrorCode.NO_ERROR);
    else this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.isClosing && this.#streams.isEmpty) this.#destroy(undefined, ErrorCode.NO_ERROR);
  }

  /** Sends the reason and ends all open streams. */
  #destroy(error: Error | undefined, code: number): void {
    if (this.isDestroyed) return;
    const payload = Buffer.concat([uint32(0), uint32(code)]);
    this.output.addFrame({ type: FrameType.GOAWAY, flags: 0, streamId: 0 }, payload);
    this.#end(error);
    this.output.end();
    // A peer that does not read cannot keep the connection open.
    setTimeout(() => this.#socket.destroy(), DRAIN_MS).unref();
  }

  /** Ends all streams, because nothing arrives any more. */
  #end(error?: Error): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.error = error;
    this.#splitter.stop();
    this.#pings.fail(error ?? new Error('the connection is closed'));
    for (const stream of this.#streams.after(0)) stream.close();
  }
}

function checkConnectionFrame(frame: Frame): Frame {
  if (frame.streamId !== 0)
    throw new ConnectionError('PROTOCOL_ERROR', 'a frame of the connection has a stream');
  return frame;
}

function checkLength(frame: Frame, bytes: number): Frame {
  if (frame.payload.length !== bytes)
    throw new ConnectionError('FRAME_SIZE_ERROR', `a frame of type ${frame.type} has the wrong size`);
  return frame;
}
