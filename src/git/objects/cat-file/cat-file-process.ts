import { setTimeout } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import type { GitProcess } from '#git/command/process/git-process';
import type { ObjectInfo } from '#git/names/object-info';
import { BodyCollector } from './body-collector.ts';
import { MAX_INFO_LINE_BYTES, parseHeader } from './cat-file-header.ts';
import type { Lookup } from './lookup.ts';
import { ObjectStream } from './object-stream.ts';

/**
 * Objects up to this size are returned whole; for larger ones the process is detached and streams.
 */
export const INLINE_BYTES = 256 * 1024;
/** Limit of data that is read only to be discarded; beyond it the process is ended. */
const DRAIN_BYTES = 1024 * 1024;

/** Time for a process to end after it closed its output. */
const EXIT_MS = 1_000;

const FLUSH = Buffer.from('flush');

/**
 * Events of a process for its owner. Exactly one of `detached` and `died` follows a lookup that it
 * does not answer.
 */
export interface CatFileEvents {
  /**
   * The process now belongs to one stream. These lookups were queued behind it and need another
   * process.
   */
  detached(process: CatFileProcess, behind: Lookup[]): void;
  /** The stream has ended and the process can be shared again. */
  returned(process: CatFileProcess): void;
  /** The process has ended; the first of these lookups is the one on which it died. */
  died(process: CatFileProcess, unanswered: Lookup[]): void;
}

/** Contents that are collected, or discarded, for the first pending lookup. */
interface Body {
  readonly info: ObjectInfo;
  readonly kept: BodyCollector | undefined;
  left: number;
}

/**
 * One `git cat-file --batch-command --buffer`: it answers lookups in their order (see README.md).
 */
export class CatFileProcess {
  readonly startedAt = performance.now();
  readonly #run: GitProcess;
  readonly #delimiter: number;
  readonly #events: CatFileEvents;
  #pending: Lookup[] = [];
  /** The incomplete header at the end of the last chunk. */
  readonly #carry: Buffer[] = [];
  #carriedBytes = 0;
  #body: Body | undefined;
  /** One delimiter follows every body. */
  #skipDelimiter = false;
  #stream: ObjectStream | undefined;
  #retired = false;
  #gone = false;
  #killed = false;
  /**
   * True if lookups were moved to another process but git answers them too: the output after the
   * stream is useless.
   */
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

  /** True if the process accepts no more lookups. */
  get isClosed(): boolean {
    return this.#retired || this.#gone;
  }

  /** Error output of a process that died. */
  get stderr(): string {
    return this.#run.stderr();
  }

  /** Sends lookups in one write, followed by one flush. */
  send(lookups: readonly Lookup[]): void {
    const words = lookups.map((lookup) => lookup.command(this.#delimiter));
    words.push(FLUSH, Buffer.of(this.#delimiter));
    this.#pending.push(...lookups);
    this.#run.stdin.write(Buffer.concat(words));
  }

  /** Ends the process when all its lookups have a response. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#run.stdin.end();
  }

  /** Ends the process now; pending lookups are passed to `died`. Resolves when it has ended. */
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
      const chunk = this.#run.stdout.read();
      if (chunk === null) return;
      try {
        this.#feed(chunk);
      } catch (error) {
        // The output is malformed, so nothing after it can be trusted.
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
        // git prints more than the size of a loose object, if that is wrong.
        if (chunk[at] !== this.#delimiter) {
          void this.kill();
          return;
        }
        this.#skipDelimiter = false;
        at += 1;
      } else at = this.#feedHeader(chunk, at);
      if (this.#stream !== undefined) {
        if (at < chunk.length) this.#run.stdout.unshift(chunk.subarray(at));
        return;
      }
    }
  }

  /** Parses a header, or the start of one. Returns the next position. */
  #feedHeader(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(this.#delimiter, at);
    const piece = chunk.subarray(at, end === -1 ? chunk.length : end);
    this.#carriedBytes += piece.length;
    const maxBytes = MAX_INFO_LINE_BYTES + (this.#pending[0]?.revision.length ?? 0);
    const isEmpty = end !== -1 && this.#carriedBytes === 0;
    if (isEmpty || this.#carriedBytes > maxBytes) {
      // It is the rest of an object. The lookups are passed to another process.
      void this.kill();
      return chunk.length;
    }
    if (end === -1) {
      this.#carry.push(piece); // joined once: a long name comes back in many chunks
      return chunk.length;
    }
    this.#carriedBytes = 0;
    const line = this.#carry.length === 0 ? piece : Buffer.concat([...this.#carry.splice(0), piece]);
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
      lookup.reject(
        new GitalyError(
          'RESOURCE_EXHAUSTED',
          `object of ${info.size} bytes exceeds ${lookup.maxBytes} bytes`,
        ),
      );
    }
    if (lookup.settled && info.size > DRAIN_BYTES) {
      this.#pending.shift();
      void this.kill();
      return;
    }
    this.#body = { info, kept: lookup.settled ? undefined : new BodyCollector(info.size), left: info.size };
    if (info.size === 0) this.#endBody(this.#body);
  }

  #feedBody(body: Body, chunk: Buffer, at: number): number {
    const piece = chunk.subarray(at, at + body.left);
    body.left -= piece.length;
    body.kept?.add(piece);
    if (body.left === 0) this.#endBody(body);
    return at + piece.length;
  }

  #endBody({ info, kept }: Body): void {
    this.#body = undefined;
    this.#skipDelimiter = true;
    const lookup = this.#pending.shift();
    if (kept === undefined || lookup === undefined) return;
    lookup.resolve({ ...info, data: kept.data });
  }

  #detach(lookup: Lookup, info: ObjectInfo): void {
    const [, ...behind] = this.#pending;
    this.#pending = [];
    this.#spoilt = behind.length > 0;
    this.#stream = new ObjectStream(
      {
        read: () => this.#run.stdout.read(),
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
    // The error output is complete once the process has been reaped. A process that only closed its
    // output is ended.
    await Promise.race([this.#run.exited, setTimeout(EXIT_MS, undefined, { ref: false })]);
    await this.#run[Symbol.asyncDispose]();
    this.#stream?.destroy(
      new GitalyError('UNKNOWN', 'unexpected EOF', { metadata: { stderr: this.stderr } }),
    );
    const unanswered = this.#pending;
    this.#pending = [];
    this.#events.died(this, unanswered);
  }
}

/** Parses the header; a malformed one is an error of only its own lookup. */
function headerOf(line: Buffer, lookup: Lookup): ObjectInfo | undefined {
  try {
    return parseHeader(line);
  } catch (error) {
    lookup.reject(error);
    return undefined;
  }
}
