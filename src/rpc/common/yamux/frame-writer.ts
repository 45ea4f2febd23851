import type { Duplex } from 'node:stream';
import { encodeHeader, FRAME_TYPE, HEADER_BYTES } from './frame.ts';

/**
 * Bytes queued in the connection above which streams must wait: two large frames. A small limit
 * lets streams take turns and makes a stall visible.
 */
const QUEUE_LIMIT_BYTES = 128 * 1024;

/**
 * Bytes queued in the connection above which we stop reading. Only a peer that sends requests
 * without reading gets this far.
 */
const FLOOD_LIMIT_BYTES = 256 * 1024;

/** Number of checks of a stalled connection before it is closed. */
const LOOKS = 2;

export interface FrameSource {
  /** Sends at most one frame. Returns whether another one is ready. */
  sendFrame(): boolean;
}

/**
 * Writes the frames of a session. Frames of one tick are sent together in one `writev`; payload is
 * never copied. Frames without payload are sent with the next payload, or at the end of the event
 * loop's iteration, because payload usually follows (the purpose of a stream after a SYN, the
 * status of a call before a FIN). When the connection is full, sources queue and send one frame
 * each in turn. Control frames do not wait for that.
 */
export class FrameWriter {
  readonly #connection: Duplex;
  readonly #timeoutMs: number;
  readonly #onStuck: () => void;
  readonly #onWritten: ((bytes: number) => void) | undefined;
  readonly #waiting: Set<FrameSource> = new Set();
  #isBlocked = false;
  #writtenBytes = 0;
  /**
   * Bytes that the connection had accepted at the last check, and the number of checks since then.
   */
  #takenBytes = 0;
  #idleLooks = 0;
  #isCorked = false;
  #isUncorkNear = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Creates a writer. `onStuck` is called once if the connection accepts nothing for `timeoutMs`
   * (up to half more) while bytes wait, `onWritten` for each frame.
   */
  constructor(
    connection: Duplex,
    options: { timeoutMs: number; onStuck: () => void; onWritten?: (bytes: number) => void },
  ) {
    this.#connection = connection;
    this.#timeoutMs = options.timeoutMs;
    this.#onStuck = options.onStuck;
    this.#onWritten = options.onWritten;
    connection.on('drain', this.#onDrain);
  }

  /** Sends a frame without payload in this iteration of the event loop. */
  control(type: number, flags: number, streamId: number, length: number): void {
    if (this.#isClosed) return;
    this.#cork();
    this.#wrote(this.#connection.write(encodeHeader(type, flags, streamId, length)), HEADER_BYTES);
  }

  /** Sends a data frame. `onSent` is called when the connection has accepted the last piece. */
  data(
    streamId: number,
    pieces: readonly Buffer[],
    length: number,
    onSent?: (error?: Error | null) => void,
  ): void {
    if (this.#isClosed) return;
    this.#cork();
    this.#uncorkInThisTick();
    let isWritable = this.#connection.write(encodeHeader(FRAME_TYPE.data, 0, streamId, length));
    const last = pieces.length - 1;
    for (let index = 0; index <= last; index += 1) {
      isWritable = this.#connection.write(pieces[index], index === last ? onSent : undefined);
    }
    this.#wrote(isWritable, HEADER_BYTES + length);
  }

  /** Lets `source` send as much as the connection accepts, and the rest in its turn. */
  pump(source: FrameSource): void {
    while (!this.#isBlocked) {
      if (!source.sendFrame()) return;
    }
    if (!this.#isClosed) this.#waiting.add(source);
  }

  /** Removes a source from the queue. */
  drop(source: FrameSource): void {
    this.#waiting.delete(source);
  }

  /** Stops writing. Bytes that the connection has accepted are still sent. */
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

  #wrote(isWritable: boolean, bytes: number): void {
    this.#onWritten?.(bytes);
    this.#writtenBytes += bytes;
    // One timer serves many writes: it restarts itself and stops when nothing waits.
    this.#timer ??= setTimeout(this.#onTimer, this.#timeoutMs / LOOKS).unref();
    if (isWritable) return;
    const queuedBytes = this.#connection.writableLength;
    if (queuedBytes >= QUEUE_LIMIT_BYTES) this.#isBlocked = true;
    if (queuedBytes > FLOOD_LIMIT_BYTES) this.#connection.pause();
  }

  readonly #onDrain = (): void => {
    this.#isBlocked = false;
    if (this.#connection.isPaused()) this.#connection.resume();
    for (const source of this.#waiting) {
      // A set iterates in insertion order and includes entries added during the iteration, so
      // delete and add moves to the back of the queue.
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
