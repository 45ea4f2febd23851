import type { Duplex } from 'node:stream';
import { encodeHeader, FRAME_TYPE, HEADER_BYTES } from './frame.ts';

/** Bytes that may wait in the connection before streams have to wait: two large frames. Small, so that streams take turns and a stall shows. */
const QUEUE_LIMIT_BYTES = 128 * 1024;

/** Bytes that may wait in the connection before we stop reading: only a peer that asks without reading gets this far. */
const FLOOD_LIMIT_BYTES = 256 * 1024;

/** How often a connection that took nothing is looked at before it is given up. */
const LOOKS = 2;

/** Somebody with payload to send. */
export interface FrameSource {
  /** Sends at most one frame. Answers whether it could send another at once. */
  sendFrame(): boolean;
}

/**
 * The way out of a session. Frames of one tick leave together in one `writev`; payload is never copied. Frames without payload leave with
 * the next payload, or at the end of the event loop's turn: most of them are followed by some (a SYN by what the stream is for, a FIN by the call's
 * status). When the connection is full, sources queue up and get one frame each in turn. Control frames do not wait for that.
 */
export class FrameWriter {
  readonly #connection: Duplex;
  readonly #timeoutMs: number;
  readonly #onStuck: () => void;
  readonly #waiting: Set<FrameSource> = new Set();
  #isBlocked = false;
  #writtenBytes = 0;
  /** What the connection had taken at the timer's last look, and how many looks ago that changed. */
  #takenBytes = 0;
  #idleLooks = 0;
  #isCorked = false;
  #isUncorkNear = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onStuck` is called once when the connection took nothing for `timeoutMs` (up to half more) while bytes waited. */
  constructor(connection: Duplex, options: { timeoutMs: number; onStuck: () => void }) {
    this.#connection = connection;
    this.#timeoutMs = options.timeoutMs;
    this.#onStuck = options.onStuck;
    connection.on('drain', this.#onDrain);
  }

  /** Sends a frame without payload in this turn of the event loop. */
  control(type: number, flags: number, streamId: number, length: number): void {
    if (this.#isClosed) return;
    this.#cork();
    this.#wrote(this.#connection.write(encodeHeader(type, flags, streamId, length)), HEADER_BYTES);
  }

  /** Sends a data frame. `onSent` is called when the connection has taken the last piece. */
  data(streamId: number, pieces: readonly Buffer[], length: number, onSent?: (error?: Error | null) => void): void {
    if (this.#isClosed) return;
    this.#cork();
    this.#uncorkInThisTick();
    let hasRoom = this.#connection.write(encodeHeader(FRAME_TYPE.data, 0, streamId, length));
    const last = pieces.length - 1;
    for (let index = 0; index <= last; index += 1) {
      hasRoom = this.#connection.write(pieces[index], index === last ? onSent : undefined);
    }
    this.#wrote(hasRoom, HEADER_BYTES + length);
  }

  /** Lets `source` send as much as the connection takes, and the rest in its turn. */
  pump(source: FrameSource): void {
    while (!this.#isBlocked) {
      if (!source.sendFrame()) return;
    }
    if (!this.#isClosed) this.#waiting.add(source);
  }

  /** Forgets a source that waits for its turn. */
  drop(source: FrameSource): void {
    this.#waiting.delete(source);
  }

  /** Nothing is written from here on. What the connection already took still leaves. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
    clearTimeout(this.#timer);
    this.#connection.off('drain', this.#onDrain);
    if (this.#isCorked) this.#uncork();
  }

  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#connection.cork();
    setImmediate(this.#uncork);
  }

  #uncorkInThisTick(): void {
    if (this.#isUncorkNear) return;
    this.#isUncorkNear = true;
    process.nextTick(this.#uncork);
  }

  readonly #uncork = (): void => {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#isUncorkNear = false;
    this.#connection.uncork();
  };

  #wrote(hasRoom: boolean, bytes: number): void {
    this.#writtenBytes += bytes;
    // One timer for many writes: it runs on its own and stops when nothing waits.
    this.#timer ??= setTimeout(this.#onTimer, this.#timeoutMs / LOOKS).unref();
    if (hasRoom) return;
    const queuedBytes = this.#connection.writableLength;
    if (queuedBytes >= QUEUE_LIMIT_BYTES) this.#isBlocked = true;
    if (queuedBytes > FLOOD_LIMIT_BYTES) this.#connection.pause();
  }

  readonly #onDrain = (): void => {
    this.#isBlocked = false;
    if (this.#connection.isPaused()) this.#connection.resume();
    for (const source of this.#waiting) {
      // A set iterates in insertion order and sees what is added behind: delete and add is "to the back of the queue".
      this.#waiting.delete(source);
      if (source.sendFrame()) this.#waiting.add(source);
      if (this.#isBlocked) return;
    }
  };

  readonly #onTimer = (): void => {
    const waitingBytes = this.#connection.writableLength;
    const takenBytes = this.#writtenBytes - waitingBytes;
    this.#idleLooks = takenBytes === this.#takenBytes ? this.#idleLooks + 1 : 0;
    this.#takenBytes = takenBytes;
    if (waitingBytes === 0) {
      this.#timer = undefined;
      this.#idleLooks = 0;
    } else if (this.#idleLooks === LOOKS) {
      this.#onStuck();
    } else {
      this.#timer?.refresh();
    }
  };
}
