import type { Requests } from './call-types.ts';

/** Messages kept for another attempt. Bulk requests are cut into 128 KiB, so this is at most 2 MiB. */
const MAX_KEPT_MESSAGES = 16;

/**
 * The requests of a call that may be attempted again: each attempt gets them from the start. What was taken from the caller's
 * iterable is kept until `commit`; once more than 16 messages were taken, no further attempt is possible.
 */
export class ReplayableRequests {
  readonly #source: Requests<unknown>;
  #iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined;
  #kept: unknown[] = [];
  #dropped = 0;
  #isCommitted = false;
  #isDone = false;
  #isClosed = false;
  /** The one message being taken from the source, for whichever attempt is alive when it comes. */
  #pending: Promise<void> | undefined;

  constructor(source: Requests<unknown>) {
    this.#source = source;
  }

  get canReplay(): boolean {
    return this.#dropped === 0;
  }

  /** No further attempt follows. */
  commit(): void {
    this.#isCommitted = true;
  }

  /** The requests from the first one on. Only the newest attempt reads on. */
  async *attempt(): AsyncGenerator<unknown, void, undefined> {
    for (let at = 0; ; at++) {
      while (at - this.#dropped >= this.#kept.length && !this.#isDone) await this.#takeOne();
      if (at - this.#dropped >= this.#kept.length) return;
      const message = this.#kept[at - this.#dropped];
      if (this.#isCommitted || this.#kept.length > MAX_KEPT_MESSAGES) this.#drop(at + 1);
      yield message;
    }
  }

  /** The call is over: the caller's iterable is told, once, that nothing more is wanted. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isDone = true;
    this.#kept = [];
    await this.#iterator?.return?.();
  }

  #drop(upTo: number): void {
    this.#kept = this.#kept.slice(upTo - this.#dropped);
    this.#dropped = upTo;
  }

  #takeOne(): Promise<void> {
    this.#iterator ??=
      Symbol.asyncIterator in this.#source ? this.#source[Symbol.asyncIterator]() : this.#source[Symbol.iterator]();
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
