import { write } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isError } from '#base/is-error';
import { type LogFormat, lineFormatter } from './format-line.ts';

/** Target of log lines. A `Writable` also works. */
export interface LogStream {
  write(text: string): unknown;
}

/**
 * Limit of waiting lines: about 20,000 lines. Beyond it lines are dropped, so that a stalled reader
 * does not make the server's memory grow.
 */
const MAX_WAITING_BYTES = 8 << 20;

/** Bytes of one write to the descriptor. */
const MAX_WRITE_BYTES = 64 << 10;
/** A pipe takes so many bytes in one piece (`PIPE_BUF` of Linux). */
const MAX_SHARED_WRITE_BYTES = 4096;

/**
 * Time for which lines are collected. A write per line costs more than everything else about the
 * line: two threads wake up for it.
 */
const GATHER_MS = 5;

const RETRY_MS = 10;

/** Time for which a process that ends waits for its last lines to be read. */
const END_MS = 2_000;

/**
 * Writes to a file descriptor without blocking the event loop (`process.stdout` blocks it for files
 * and pipes). Lines are collected for some milliseconds, and one write runs at a time. Beyond
 * `maxWaitingBytes` lines are dropped and counted; a later line reports their number.
 */
export class FdLogStream implements LogStream {
  readonly #fd: number;
  readonly #format: LogFormat;
  readonly #maxWaitingBytes: number;
  /**
   * True while another process writes to the descriptor, too, as during a restart. Then a write has
   * so few lines that no other line gets into the middle of one.
   */
  isShared = false;
  /** Waiting lines in order. */
  #waiting: string[] = [];
  /** Estimated from the number of characters, because it limits memory. */
  #waitingBytes = 0;
  /** Lines that are being written, or the remainder of a partial write. */
  #rest: Buffer | undefined;
  #writing = false;
  #dropped = 0;
  #ended = false;
  #idle: (() => void)[] = [];

  /** @param options.format of the line that reports dropped lines. */
  constructor(fd: number, options: { format: LogFormat; maxWaitingBytes?: number }) {
    this.#fd = fd;
    this.#format = options.format;
    this.#maxWaitingBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES;
  }

  /** Lines dropped since they were last reported in the log. */
  get dropped(): number {
    return this.#dropped;
  }

  write(text: string): void {
    if (this.#ended || this.#waitingBytes >= this.#maxWaitingBytes) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(text);
    this.#waitingBytes += text.length;
    if (!this.#writing) {
      this.#writing = true;
      setTimeout(() => this.#writeSome(), GATHER_MS);
    }
  }

  /** Resolves when everything written so far has reached the descriptor. */
  flush(): Promise<void> {
    return this.#writing ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /**
   * Ends the log: waits until everything is written, at most {@link END_MS}, and drops the rest,
   * for which a stalled reader must not hold a process that ends.
   *
   * @returns the number of lines dropped that the log does not report.
   */
  async end(): Promise<number> {
    const limit = new AbortController();
    const late = delay(END_MS, undefined, { signal: limit.signal }).catch(() => {}); // all is written
    await Promise.race([this.flush(), late]);
    limit.abort();
    this.#ended = true;
    const unwritten = [this.#rest?.toString('latin1') ?? '', ...this.#waiting];
    this.#dropped += unwritten.reduce((count, text) => count + text.split('\n').length - 1, 0);
    this.#rest = undefined;
    this.#waiting = [];
    return this.#dropped;
  }

  #writeSome(): void {
    if (this.#ended) return;
    const batch = this.#nextBatch();
    if (batch === undefined) {
      this.#writing = false;
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    this.#rest = batch;
    write(this.#fd, batch, 0, batch.length, null, (error, written) => {
      if (isBusy(error)) {
        setTimeout(() => this.#writeSome(), RETRY_MS);
        return;
      }
      // If the descriptor fails otherwise (closed pipe, full disk), the batch is lost and the
      // server continues.
      this.#rest = error === null && written < batch.length ? batch.subarray(written) : undefined;
      const isSmall = this.#rest === undefined && this.#waitingBytes < MAX_WRITE_BYTES;
      // Without a pause a busy server would write each line by itself.
      if (isSmall && this.#waiting.length > 0) setTimeout(() => this.#writeSome(), GATHER_MS);
      else this.#writeSome();
    });
  }

  #nextBatch(): Buffer | undefined {
    if (this.#rest !== undefined) return this.#rest;
    let bytes = 0;
    let count = 0;
    const limit = this.isShared ? MAX_SHARED_WRITE_BYTES : MAX_WRITE_BYTES;
    for (const line of this.#waiting) {
      // Of a shared descriptor, bytes count: a character has up to three of them.
      const size = this.isShared ? Buffer.byteLength(line) : line.length;
      if (count > 0 && bytes + size > limit) break;
      bytes += size;
      count++;
    }
    const batch = this.#waiting.splice(0, count);
    for (const line of batch) this.#waitingBytes -= line.length;
    if (count > 0) return Buffer.from(batch.join(''));
    if (this.#dropped === 0) return undefined;
    const fields = { count: this.#dropped, pid: process.pid };
    this.#dropped = 0;
    return Buffer.from(lineFormatter(this.#format)(new Date(), 'warning', 'log lines dropped', fields));
  }
}

function isBusy(error: unknown): boolean {
  return isError(error) && 'code' in error && error.code === 'EAGAIN';
}
