import { setTimeout } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import type { GitProcess } from '../command/git-process.ts';
import { parseHeader } from './cat-file-header.ts';
import type { Lookup } from './lookup.ts';
import type { ObjectInfo } from './object-info.ts';
import { ObjectStream } from './object-stream.ts';

/** Objects up to this size are handed over whole; bigger ones take their process out of the pipeline and are streamed. */
export const INLINE_BYTES = 256 * 1024;
/** More than this is not read only to be thrown away: the process is. */
const DRAIN_BYTES = 1024 * 1024;

/** How long a process may live on after it closed its output. */
const EXIT_MS = 1_000;

const FLUSH = Buffer.from('flush');

/** What a process tells its owner. Exactly one of `detached` and `died` may follow a lookup that it does not answer. */
export interface CatFileEvents {
  /** The process now belongs to one stream. These lookups were behind it and need another process. */
  detached(process: CatFileProcess, behind: Lookup[]): void;
  /** The stream has ended and the process is as good as new. */
  returned(process: CatFileProcess): void;
  /** The process is gone; the first of these lookups is the one it died on. */
  died(process: CatFileProcess, unanswered: Lookup[]): void;
}

/** Contents that are being collected for, or thrown away from, the first pending lookup. */
interface Body {
  readonly info: ObjectInfo;
  readonly kept: Buffer[] | undefined;
  left: number;
}

/** One `git cat-file --batch-command --buffer`: lookups go in, answers come out in the same order (see README.md). */
export class CatFileProcess {
  readonly startedAt = performance.now();
  readonly #run: GitProcess;
  readonly #delimiter: number;
  readonly #events: CatFileEvents;
  #pending: Lookup[] = [];
  /** The piece of a header that the last chunk ended in. */
  #carry: Buffer | undefined;
  #body: Body | undefined;
  /** One delimiter follows every body. */
  #skipDelimiter = false;
  #stream: ObjectStream | undefined;
  #retired = false;
  #gone = false;
  #killed = false;
  /** Lookups were moved elsewhere, but git answers them all the same: the output after the stream is of no use. */
  #spoilt = false;

  constructor(run: GitProcess, delimiter: number, events: CatFileEvents) {
    this.#run = run;
    this.#delimiter = delimiter;
    this.#events = events;
    run.stdout.on('readable', () => this.#onReadable());
    run.stdout.once('close', () => void this.#onClose());
  }

  get isIdle(): boolean {
    return this.#pending.length === 0 && this.#stream === undefined;
  }

  /** No more lookups, please. */
  get isClosed(): boolean {
    return this.#retired || this.#gone;
  }

  /** What git said before it died. */
  get stderr(): string {
    return this.#run.stderr();
  }

  /** Sends lookups as one write with one flush behind them. */
  send(lookups: readonly Lookup[]): void {
    const words = lookups.map((lookup) => lookup.command(this.#delimiter));
    words.push(FLUSH, Buffer.of(this.#delimiter));
    this.#pending.push(...lookups);
    this.#run.stdin.write(Buffer.concat(words));
  }

  /** Ends the process once everything that was sent is answered. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#run.stdin.end();
  }

  /** Ends the process now; what is pending is handed to `died`. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#retired = true;
    this.#killed = true;
    await this.#run[Symbol.asyncDispose]();
  }

  #onReadable(): void {
    if (this.#stream !== undefined) {
      this.#stream.pump();
      return;
    }
    while (this.#stream === undefined && !this.#killed) {
      // A socket without an encoding reads Buffers.
      const chunk = this.#run.stdout.read() as Buffer | null;
      if (chunk === null) return;
      try {
        this.#feed(chunk);
      } catch (error) {
        // Output that makes no sense: nothing behind it can be trusted.
        this.#pending.shift()?.reject(error);
        void this.kill();
        return;
      }
    }
  }

  #feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#killed) {
      if (this.#body !== undefined) at = this.#feedBody(this.#body, chunk, at);
      else if (this.#skipDelimiter) {
        this.#skipDelimiter = false;
        at += 1;
      } else at = this.#feedHeader(chunk, at);
      if (this.#stream !== undefined) {
        if (at < chunk.length) this.#run.stdout.unshift(chunk.subarray(at));
        return;
      }
    }
  }

  /** Takes a header, or the start of one. The position behind it. */
  #feedHeader(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(this.#delimiter, at);
    const piece = chunk.subarray(at, end === -1 ? chunk.length : end);
    const line = this.#carry === undefined ? piece : Buffer.concat([this.#carry, piece]);
    if (end === -1) {
      this.#carry = line;
      return chunk.length;
    }
    this.#carry = undefined;
    this.#onHeader(line);
    return end + 1;
  }

  #onHeader(line: Buffer): void {
    const [lookup] = this.#pending;
    if (lookup === undefined) throw new Error('cat-file answered without a question');
    const info = headerOf(line, lookup);
    if (info === undefined || lookup.mode === 'info') {
      this.#pending.shift();
      lookup.resolve(info);
      return;
    }
    if (info.size > INLINE_BYTES && lookup.mode === 'open' && !lookup.settled) this.#detach(lookup, info);
    else this.#beginBody(lookup, info);
  }

  #beginBody(lookup: Lookup, info: ObjectInfo): void {
    if (info.size > lookup.maxBytes && lookup.mode === 'whole') {
      lookup.reject(new GitalyError('RESOURCE_EXHAUSTED', `object of ${info.size} bytes exceeds ${lookup.maxBytes} bytes`));
    }
    if (lookup.settled && info.size > DRAIN_BYTES) {
      this.#pending.shift();
      void this.kill();
      return;
    }
    this.#body = { info, kept: lookup.settled ? undefined : [], left: info.size };
    if (info.size === 0) this.#endBody(this.#body);
  }

  #feedBody(body: Body, chunk: Buffer, at: number): number {
    const piece = chunk.subarray(at, at + body.left);
    body.left -= piece.length;
    body.kept?.push(piece);
    if (body.left === 0) this.#endBody(body);
    return at + piece.length;
  }

  #endBody({ info, kept }: Body): void {
    this.#body = undefined;
    this.#skipDelimiter = true;
    const lookup = this.#pending.shift();
    if (kept === undefined || lookup === undefined) return;
    const [first] = kept;
    const data = kept.length === 1 && first !== undefined ? first : Buffer.concat(kept, info.size);
    lookup.resolve({ ...info, data });
  }

  #detach(lookup: Lookup, info: ObjectInfo): void {
    const [, ...behind] = this.#pending;
    this.#pending = [];
    this.#spoilt = behind.length > 0;
    this.#stream = new ObjectStream(
      {
        read: () => this.#run.stdout.read() as Buffer | null,
        unread: (bytes) => this.#run.stdout.unshift(bytes),
        finished: () => this.#finishStream(),
        abandoned: () => void this.kill(),
      },
      info.size,
    );
    this.#events.detached(this, behind);
    lookup.resolve({ ...info, stream: this.#stream });
  }

  #finishStream(): void {
    this.#stream = undefined;
    this.#skipDelimiter = true;
    if (this.#spoilt || this.#retired) {
      void this.kill();
      return;
    }
    this.#events.returned(this);
    this.#onReadable();
  }

  async #onClose(): Promise<void> {
    this.#gone = true;
    // What git said is complete once it has been reaped. One that only closed its output is ended.
    await Promise.race([this.#run.exited, setTimeout(EXIT_MS, undefined, { ref: false })]);
    await this.#run[Symbol.asyncDispose]();
    this.#stream?.destroy(new GitalyError('UNKNOWN', 'unexpected EOF', { metadata: { stderr: this.stderr } }));
    const unanswered = this.#pending;
    this.#pending = [];
    this.#events.died(this, unanswered);
  }
}

/** The header's meaning; one that is strange in itself is the error of its own lookup alone. */
function headerOf(line: Buffer, lookup: Lookup): ObjectInfo | undefined {
  try {
    return parseHeader(line);
  } catch (error) {
    lookup.reject(error);
    return undefined;
  }
}
