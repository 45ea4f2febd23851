import type { Requests } from '#rpc/common/grpc/channel-call';

/**
 * Messages kept for another attempt. Bulk requests are split into 128 KiB, so this is at most 2
 * MiB.
 */
const MAX_KEPT_MESSAGES = 16;

/**
 * The requests of a call that may be retried: each attempt receives them from the start. Messages
 * taken from the caller's iterable are kept until `commit`. After more than 16 messages no further
 * attempt is possible.
 */
export class ReplayableRequests {
  readonly #source: Requests<unknown>;
  #iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined;
  #kept: unknown[] = [];
  #dropped = 0;
  #attempts = 0;
  #isCommitted = false;
  #isDone = false;
  #isClosed = false;
  /**
   * The pending read from the source; its message belongs to the attempt that is active when it
   * arrives.
   */
  #pending: Promise<void> | undefined;

  constructor(source: Requests<unknown>) {
    this.#source = source;
  }

  get canReplay(): boolean {
    return this.#dropped === 0;
  }

  /** Releases the kept messages: no further attempt follows. */
  commit(): void {
    this.#isCommitted = true;
  }

  /** Yields the requests from the first one. Only the newest attempt continues reading. */
  async *attempt(): AsyncGenerator<unknown, void, undefined> {
    const attempt = ++this.#attempts;
    for (let at = 0; ; at++) {
      while (at - this.#dropped >= this.#kept.length && !this.#isDone) await this.#takeOne();
      if (attempt !== this.#attempts) return;
      if (at - this.#dropped >= this.#kept.length) return;
      const message = this.#kept[at - this.#dropped];
      if (this.#isCommitted || this.#kept.length > MAX_KEPT_MESSAGES) this.#drop(at + 1);
      yield message;
    }
  }

  /** Ends the call: stops the caller's iterable, once. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isDone = true;
    this.#kept = [];
    try {
      await this.#iterator?.return?.();
    } catch {
      // the call has its status already; a source that fails to clean up cannot change it
    }
  }

  #drop(upTo: number): void {
    this.#kept = this.#kept.slice(upTo - this.#dropped);
    this.#dropped = upTo;
  }

  #takeOne(): Promise<void> {
    this.#iterator ??=
      Symbol.asyncIterator in this.#source
        ? this.#source[Symbol.asyncIterator]()
        : this.#source[Symbol.iterator]();
    this.#pending ??= this.#take(this.#iterator).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #take(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
    const result = await iterator.next();
    if (result.done === true) this.#isDone = true;
    else this.#kept.push(result.value);
  }
}
