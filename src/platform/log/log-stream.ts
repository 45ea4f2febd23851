import { write, writeSync } from 'node:fs';
import { waitAtMost } from '#base/async/wait-at-most';
import { isError } from '#base/is-error';
import { FieldList } from './field-list.ts';
import { type LogFormat, lineFormatter } from './format-line.ts';

/** Target of log lines. A `Writable` also works. */
export interface LogStream {
  write(text: string): unknown;
  /** Function that writes synchronously. Without it, urgent lines are written like others. */
  writeNow?(text: string): void;
}

/**
 * Limit of waiting lines: about 20,000 lines. Beyond it lines are dropped, so that a stalled reader
 * does not make the server's memory grow.
 */
const MAX_WAITING_BYTES = 8 << 20;

/** Bytes of one write to the descriptor, if no line is longer. */
const MAX_WRITE_BYTES = 64 << 10;
const NEWLINE = 0x0a;
const LINE_END = Buffer.from('\n');
/** Number of bytes that a pipe takes atomically (`PIPE_BUF` of Linux). */
const MAX_SHARED_WRITE_BYTES = 4096;

/**
 * Time for which lines are collected; a process that is killed loses the log lines of this time. A
 * write per line costs more than everything else about the line: two threads wake up for it.
 * Collected for 5 ms, lines of a busy server still cost 3.6 µs each for it (CPU of a call: 68 µs).
 */
const GATHER_MS = 20;

const RETRY_MS = 10;

/** Time for which an ending process waits until its last lines are read. */
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
  /** True if this process has workers or is one: all of them write to the descriptor. */
  hasWorkers = false;
  /**
   * Waiting lines in order, as bytes. Waiting strings, each made of fifty pieces, would cost the
   * garbage collector more than the lines themselves.
   */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Holds the last lines; its first `#filled` bytes are lines. */
  #block: Buffer | undefined;
  #filled = 0;
  /** The block that was closed last, until all of it is written; then it is used again. */
  #closed: Buffer | undefined;
  #free: Buffer | undefined;
  /** Lines that are being written, or the remainder of a partial write. */
  #rest: Buffer | undefined;
  #writing = false;
  #dropped = 0;
  /** Number of dropped lines that the line which is being written reports. */
  #noted = 0;
  /** True if the last write failed. */
  #hasFailed = false;
  /** True if the last write ended inside a line. */
  #isCut = false;
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
    this.#add(text);
    if (!this.#writing) {
      this.#writing = true;
      setTimeout(() => this.#writeSome(), GATHER_MS);
    }
  }

  /** Writes a line before the waiting ones. It waits too if the descriptor is busy. */
  writeNow(text: string): void {
    const bytes = Buffer.from(text);
    let written = 0;
    try {
      written = writeSync(this.#fd, bytes);
    } catch {
      // a full pipe, or one without a reader
    }
    if (written < bytes.length) this.write(bytes.toString('utf8', written));
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
    await waitAtMost(this.flush(), END_MS);
    this.#ended = true;
    this.#closeBlock();
    for (const lines of [this.#rest ?? Buffer.alloc(0), ...this.#waiting]) this.#dropped += newlines(lines);
    this.#rest = undefined;
    this.#waiting = [];
    return this.#dropped;
  }

  /**
   * Ends the log of a process that exits now: writes the waiting lines synchronously, as far as the
   * descriptor takes them. A write that runs ends by itself, or is lost.
   */
  endNow(): void {
    this.#ended = true;
    this.#rest = undefined;
    try {
      for (let lines = this.#nextBatch(); lines !== undefined; lines = this.#nextBatch())
        writeSync(this.#fd, lines);
    } catch {
      // a full pipe, or one without a reader
    }
  }

  #add(text: string): void {
    // A UTF-16 unit takes at most three bytes.
    const most = text.length * 3;
    if (this.#block !== undefined && most > this.#block.length - this.#filled) this.#closeBlock();
    let written: number;
    if (most > MAX_WRITE_BYTES) {
      this.#closeBlock();
      const bytes = Buffer.from(text);
      this.#waiting.push(bytes);
      written = bytes.length;
    } else {
      if (this.#block === undefined) {
        this.#block = this.#free ?? Buffer.allocUnsafeSlow(MAX_WRITE_BYTES);
        this.#free = undefined;
      }
      written = this.#block.write(text, this.#filled);
      this.#filled += written;
    }
    this.#waitingBytes += written;
  }

  /** Queues the lines of the block with the others. */
  #closeBlock(): void {
    if (this.#block !== undefined && this.#filled > 0)
      this.#waiting.push(this.#block.subarray(0, this.#filled));
    this.#closed = this.#block;
    this.#block = undefined;
    this.#filled = 0;
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
      this.#hasFailed = error !== null;
      if (error !== null) this.#dropped += this.#noted || newlines(batch);
      else if (written > 0) this.#isCut = batch[written - 1] !== NEWLINE;
      this.#rest = error === null && written < batch.length ? batch.subarray(written) : undefined;
      const isSmall = this.#rest === undefined && this.#waiting.length === 0;
      if (isSmall && this.#closed?.buffer === batch.buffer) {
        this.#free = this.#closed;
        this.#closed = undefined;
      }
      // Without a pause a busy server would write each line by itself.
      if (isSmall && this.#filled > 0) setTimeout(() => this.#writeSome(), GATHER_MS);
      else this.#writeSome();
    });
  }

  #nextBatch(): Buffer | undefined {
    if (this.#rest !== undefined) return this.#rest;
    if (this.#waiting.length === 0) this.#closeBlock();
    const lines = this.#waiting.shift();
    this.#noted = 0;
    if (lines !== undefined) {
      const isShared = this.isShared || this.hasWorkers;
      const size = isShared ? lengthOfLines(lines, MAX_SHARED_WRITE_BYTES) : lines.length;
      if (size < lines.length) this.#waiting.unshift(lines.subarray(size));
      this.#waitingBytes -= size;
      // The last line before a failure may have been written in part.
      return this.#isCut ? Buffer.concat([LINE_END, lines.subarray(0, size)]) : lines.subarray(0, size);
    }
    // While the descriptor fails, the note would fail, too: it follows the next line.
    if (this.#dropped === 0 || this.#hasFailed) return undefined;
    const fields = new FieldList();
    fields.add('count', this.#dropped);
    fields.add('pid', process.pid);
    this.#noted = this.#dropped;
    this.#dropped = 0;
    return Buffer.from(lineFormatter(this.#format)(new Date(), 'warning', 'log lines dropped', fields));
  }
}

/** Returns the length of the first lines, at most `limit` bytes, but at least of one line. */
function lengthOfLines(lines: Buffer, limit: number): number {
  if (lines.length <= limit) return lines.length;
  const last = lines.lastIndexOf(NEWLINE, limit - 1);
  const end = last === -1 ? lines.indexOf(NEWLINE, limit) : last;
  return end === -1 ? lines.length : end + 1;
}

function newlines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(NEWLINE); at !== -1; at = lines.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

function isBusy(error: unknown): boolean {
  return isError(error) && 'code' in error && error.code === 'EAGAIN';
}
