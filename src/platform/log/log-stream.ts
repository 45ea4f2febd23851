import { write, writeSync } from 'node:fs';

/** Where log lines go. A `Writable` will do as well. */
export interface LogStream {
  write(text: string): unknown;
}

/** Lines beyond this wait for nobody: a reader that stands still must not make the server grow. About 20,000 lines. */
const MAX_WAITING_BYTES = 8 << 20;

/** Bytes of one write to the descriptor. */
const MAX_WRITE_BYTES = 64 << 10;

/** How long lines wait for others. A write of its own costs a line more than everything else about it: two threads wake up for it. */
const GATHER_MS = 5;

const RETRY_MS = 10;

/**
 * Writes to a file descriptor without ever waiting for it on the event loop (`process.stdout` does wait, for files and pipes).
 * A line waits some milliseconds for others, and one write is under way at a time: lines that come meanwhile go out together. Beyond `maxWaitingBytes` lines are
 * dropped and counted, and a line says so when there is room again.
 */
export class FdLogStream implements LogStream {
  readonly #fd: number;
  readonly #maxWaitingBytes: number;
  /** Lines in order. */
  #waiting: string[] = [];
  /** Estimated by their characters: the limit is a limit of memory. */
  #waitingBytes = 0;
  /** What a write that stopped half-way left. */
  #rest: Buffer | undefined;
  #writing = false;
  #dropped = 0;
  #idle: (() => void)[] = [];

  constructor(fd: number, options: { maxWaitingBytes?: number } = {}) {
    this.#fd = fd;
    this.#maxWaitingBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES;
  }

  /** Lines that did not find room since the last time it was told. */
  get dropped(): number {
    return this.#dropped;
  }

  write(text: string): void {
    if (this.#waitingBytes >= this.#maxWaitingBytes) {
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

  /** Resolves when everything written before has reached the descriptor. */
  flush(): Promise<void> {
    return this.#writing ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /** Writes what is left and waits for it: for the last moments of a process. What the descriptor refuses is lost. */
  flushSync(): void {
    const rest = Buffer.concat([this.#rest ?? Buffer.alloc(0), Buffer.from(this.#waiting.join(''))]);
    this.#rest = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (let at = 0; at < rest.length; ) {
      try {
        at += writeSync(this.#fd, rest, at);
      } catch (error) {
        if (!isBusy(error)) return; // nobody is left to tell
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #writeSome(): void {
    const batch = this.#nextBatch();
    if (batch === undefined) {
      this.#writing = false;
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    write(this.#fd, batch, 0, batch.length, null, (error, written) => {
      if (isBusy(error)) {
        setTimeout(() => this.#retry(batch), RETRY_MS);
        return;
      }
      // A descriptor that fails otherwise (closed pipe, full disk) swallows the batch: the server goes on.
      if (error === null && written < batch.length) this.#retry(batch.subarray(written));
      else this.#writeSome();
    });
  }

  #retry(rest: Buffer): void {
    this.#rest = rest;
    this.#writeSome();
  }

  #nextBatch(): Buffer | undefined {
    const rest = this.#rest;
    if (rest !== undefined) {
      this.#rest = undefined;
      return rest;
    }
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < MAX_WRITE_BYTES) bytes += this.#waiting[count++]?.length ?? 0;
    this.#waitingBytes -= bytes;
    if (count > 0) return Buffer.from(this.#waiting.splice(0, count).join(''));
    if (this.#dropped === 0) return undefined;
    const note = Buffer.from(`${JSON.stringify({ level: 'warning', msg: 'log lines dropped', count: this.#dropped })}\n`);
    this.#dropped = 0;
    return note;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
