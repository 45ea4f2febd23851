import type { CallStream, CallStreamEvents, RequestHeaders } from '../grpc/client-session.ts';
import { STREAM_WINDOW_BYTES } from '../grpc/http2-limits.ts';
import { ErrorCode } from './connection-error.ts';
import { Flag, FrameType, MAX_FRAME_BYTES, MAX_PEER_WINDOW_BYTES, uint32 } from './frame.ts';
import type { FrameOutput } from './frame-output.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { ResponseBlock } from './response-blocks.ts';

/** Unsent data above which a writer must wait. */
const FULL_AT_BYTES = 65_536;
const NOTHING = Buffer.alloc(0);

/** The part of a session that its streams use. */
export interface FrameStreamHost {
  readonly output: FrameOutput;
  /** Data that may be sent on the connection. */
  sendWindowBytes: number;
  /** Calls `pump` when there is space again. */
  wait(stream: FrameStream): void;
  /** Records that a stream holds this number of unread bytes more, or fewer. */
  hold(bytes: number): void;
  /** Allows the peer more data on a stream; none for 0 bytes. */
  reportReleased(streamId: number, bytes: number): void;
  leave(stream: FrameStream): void;
}

/** One request and its response. It ends with the response, whether or not all data was sent. */
export class FrameStream implements CallStream {
  readonly headers: RequestHeaders;
  readonly #host: FrameStreamHost;
  readonly #events: CallStreamEvents;
  /** 0 until the headers are sent: streams wait if the peer allows no more. */
  id = 0;
  /** True while the stream waits for space of the connection. */
  isWaiting = false;
  resetCode: number = ErrorCode.NO_ERROR;
  #sendWindowBytes = 0;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #isEnded = false;
  /** True when the end of the request was sent. */
  #isSent = false;
  #isFull = false;
  #hasHeaders = false;
  #isPaused = false;
  #isClosed = false;
  readonly #receiveWindow = new ReceiveWindow('a stream', STREAM_WINDOW_BYTES);
  /** Data that has arrived since the stream was paused. */
  #heldBytes = 0;

  constructor(host: FrameStreamHost, headers: RequestHeaders, events: CallStreamEvents) {
    this.#host = host;
    this.headers = headers;
    this.#events = events;
  }

  get isWritable(): boolean {
    return !this.#isClosed && !this.#isEnded;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Begins to send data: the headers were sent. */
  open(id: number, windowBytes: number): void {
    this.id = id;
    this.#sendWindowBytes = windowBytes;
    this.pump();
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (!this.isWritable) return true;
    this.#queue(chunks);
    this.pump();
    this.#isFull = this.#unsentBytes > FULL_AT_BYTES;
    return !this.#isFull;
  }

  end(chunks: readonly Uint8Array[]): void {
    if (!this.isWritable) return;
    this.#isEnded = true;
    this.#queue(chunks);
    this.pump();
  }

  #queue(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#unsent.push(chunk);
      this.#unsentBytes += chunk.length;
    }
  }

  reset(code: number): void {
    if (this.#isClosed) return;
    this.resetCode = code;
    if (this.id !== 0) {
      this.#host.output.addFrame({ type: FrameType.RST_STREAM, flags: 0, streamId: this.id }, uint32(code));
    }
    this.close();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const held = this.#heldBytes;
    if (held === 0) return;
    this.#hold(-held);
    this.#host.reportReleased(this.id, this.#receiveWindow.release(held));
  }

  /** Sends as much as the windows allow. */
  pump(): void {
    if (this.id === 0 || this.#isClosed || this.#isSent) return;
    const { output } = this.#host;
    while (this.#unsentBytes > 0) {
      const space = Math.min(this.#sendWindowBytes, this.#host.sendWindowBytes, MAX_FRAME_BYTES);
      if (this.#sendWindowBytes <= 0) return;
      if (space <= 0 || output.isFull) {
        this.#host.wait(this);
        return;
      }
      this.#send(space);
    }
    if (this.#isEnded && !this.#isSent) this.#sendData(NOTHING, Flag.END_STREAM);
    if (this.#isFull && this.#unsentBytes === 0) {
      this.#isFull = false;
      this.#events.onDrain();
    }
  }

  #send(space: number): void {
    const [first = NOTHING] = this.#unsent;
    const data = first.length > space ? first.subarray(0, space) : first;
    if (data.length < first.length) this.#unsent[0] = first.subarray(space);
    else this.#unsent.shift();
    this.#unsentBytes -= data.length;
    this.#sendWindowBytes -= data.length;
    this.#host.sendWindowBytes -= data.length;
    this.#sendData(data, this.#isEnded && this.#unsentBytes === 0 ? Flag.END_STREAM : 0);
  }

  #sendData(data: Uint8Array, flags: number): void {
    if (flags === Flag.END_STREAM) this.#isSent = true;
    this.#host.output.addFrame({ type: FrameType.DATA, flags, streamId: this.id }, data);
  }

  /** Changes the window for data to send. A window above the maximum resets the stream. */
  addSendWindow(bytes: number): void {
    this.#sendWindowBytes += bytes;
    if (this.#sendWindowBytes > MAX_PEER_WINDOW_BYTES) this.reset(ErrorCode.FLOW_CONTROL_ERROR);
    else if (bytes > 0) this.pump();
  }

  /**
   * Receives data. `frameBytes` is its length with padding.
   *
   * @throws {ConnectionError} for more than was allowed.
   */
  onData(data: Buffer, frameBytes: number, isEnd: boolean): void {
    this.#receiveWindow.take(frameBytes);
    if (!this.#hasHeaders) {
      this.reset(ErrorCode.PROTOCOL_ERROR);
      return;
    }
    this.#hold(frameBytes);
    if (data.length > 0) this.#events.onData(data);
    if (isEnd) this.#onEnd();
    else if (!this.#isPaused && !this.#isClosed) this.resume();
  }

  onBlock(block: ResponseBlock, isEnd: boolean): void {
    switch (block.kind) {
      case 'too-large':
        this.reset(ErrorCode.ENHANCE_YOUR_CALM);
        return;
      case 'interim':
        if (this.#hasHeaders || isEnd) this.reset(ErrorCode.PROTOCOL_ERROR);
        return;
      case 'headers':
        if (this.#hasHeaders) break;
        this.#hasHeaders = true;
        this.#events.onHeaders(block.pairs.slice());
        if (isEnd) this.#onEnd();
        return;
      case 'trailers':
        if (!this.#hasHeaders || !isEnd) break;
        this.#events.onTrailers(block.pairs.slice());
        this.#onEnd();
        return;
      default:
    }
    this.reset(ErrorCode.PROTOCOL_ERROR);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#host.hold(bytes);
  }

  /** The peer has reset the stream. */
  onReset(code: number): void {
    this.resetCode = code;
    this.close();
  }

  #onEnd(): void {
    if (this.#isClosed) return;
    this.#events.onEnd();
    // What was not sent is of no use any more.
    if (this.#isSent) this.close();
    else this.reset(ErrorCode.NO_ERROR);
  }

  /** Ends the stream without notifying the peer. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#hold(-this.#heldBytes);
    this.#events.onClose(); // before the session may close after its last stream
    this.#host.leave(this);
  }
}
