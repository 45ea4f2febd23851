/** Limit of frames that a destination may be behind the client. */
const MAX_QUEUED = 16;

/**
 * Hands the frames of one client to several destinations. The slowest sets the pace: when one has
 * 16 frames waiting, no more are read.
 */
export class FrameFan {
  readonly #source: AsyncIterator<Buffer>;
  readonly #queues: FrameQueue[];

  /** @param firsts the first frame for each destination. */
  constructor(source: AsyncIterator<Buffer>, firsts: readonly Buffer[]) {
    this.#source = source;
    this.#queues = firsts.map((first) => new FrameQueue(first));
  }

  /** The frames for each destination, in the order of `firsts`. */
  get destinations(): readonly AsyncIterable<Buffer>[] {
    return this.#queues;
  }

  /**
   * Reads the client's frames to their end, or until all destinations are closed. Errors go to the
   * destinations.
   */
  async run(): Promise<void> {
    try {
      while (this.#queues.some((queue) => !queue.isClosed)) {
        const { done, value } = await this.#source.next();
        if (done) break;
        await Promise.all(this.#queues.map((queue) => queue.push(value)));
      }
      for (const queue of this.#queues) queue.end();
    } catch (error) {
      for (const queue of this.#queues) queue.fail(error);
    }
  }

  /** Ends all destinations and drops what is still queued. */
  close(): void {
    for (const queue of this.#queues) void queue.return();
  }
}

/** The frames for one destination. */
class FrameQueue implements AsyncIterableIterator<Buffer> {
  readonly #frames: Buffer[];
  #isOver = false;
  #error: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  isClosed = false;

  constructor(first: Buffer) {
    this.#frames = [first];
  }

  async push(frame: Buffer): Promise<void> {
    if (this.isClosed) return;
    this.#frames.push(frame);
    this.#wakeReader?.();
    if (this.#frames.length < MAX_QUEUED) return;
    await new Promise<void>((resolve) => {
      this.#wakeWriter = resolve;
    });
  }

  end(): void {
    this.#isOver = true;
    this.#wakeReader?.();
  }

  fail(error: unknown): void {
    this.#error = error;
    this.end();
  }

  async next(): Promise<IteratorResult<Buffer>> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#wakeWriter?.();
        return { done: false, value: frame };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver || this.isClosed) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<Buffer>> {
    this.isClosed = true;
    this.#frames.length = 0;
    this.#wakeWriter?.();
    this.#wakeReader?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
