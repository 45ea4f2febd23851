import { GitalyError } from '#base/gitaly-error';
import type { GitProcess } from '#git/command/process/git-process';
import type { ObjectInfo } from '#git/names/object-info';
import { AnswerParser, type CatFileAnswer } from './answer-parser.ts';
import { BodyCollector } from './body-collector.ts';
import { reaped } from './dead-process.ts';
import type { Lookup } from './lookup.ts';

/** Limit of data that is read only to be discarded; beyond it the process is ended. */
const DRAIN_BYTES = 1024 * 1024;

const FLUSH = Buffer.from('flush');

/** An object whose contents are collected, or discarded, for the first pending lookup. */
interface Body {
  readonly info: ObjectInfo;
  readonly kept: BodyCollector | undefined;
}

/**
 * One `git cat-file --batch-command --buffer`: it answers lookups in their order (see README.md).
 */
export class CatFileProcess {
  readonly startedAt = performance.now();
  readonly #run: GitProcess;
  readonly #delimiter: number;
  readonly #onDied: (unanswered: Lookup[]) => void;
  readonly #parser: AnswerParser;
  #pending: Lookup[] = [];
  #body: Body | undefined;
  #retired = false;
  #gone = false;
  #killed = false;

  /**
   * @param onDied Called once, when the process has ended, with the lookups that it did not answer;
   *   the first of them is the one on which it died.
   */
  constructor(run: GitProcess, delimiter: number, onDied: (unanswered: Lookup[]) => void) {
    this.#run = run;
    this.#delimiter = delimiter;
    this.#onDied = onDied;
    this.#parser = new AnswerParser({
      delimiter,
      contents: () => this.#pending[0]?.mode === 'whole',
      nameBytes: () => this.#pending[0]?.revision.length ?? 0,
    });
    run.stdout.on('readable', () => this.#onReadable());
    run.stdout.once('close', () => void this.#onClose());
  }

  get isIdle(): boolean {
    return this.#pending.length === 0;
  }

  /** True if the process accepts no more lookups. */
  get isClosed(): boolean {
    return this.#retired || this.#gone;
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

  /** Ends the process now. */
  #kill(): void {
    this.#retired = true;
    this.#killed = true;
    void this.#run[Symbol.asyncDispose]();
  }

  #onReadable(): void {
    while (!this.#killed) {
      const chunk = this.#run.stdout.read();
      if (chunk === null) return;
      try {
        for (const answer of this.#parser.feed(chunk)) {
          this.#take(answer);
          if (this.#killed) return;
        }
      } catch {
        // It printed the rest of an object. Another process answers the pending lookups.
        this.#kill();
      }
    }
  }

  #take(answer: CatFileAnswer): void {
    const [lookup] = this.#pending;
    if (lookup === undefined) throw new Error('cat-file answered without a question');
    if (answer.kind === 'data') {
      this.#body?.kept?.add(answer.bytes);
      if (answer.isLast) this.#endBody(lookup);
    } else if (answer.kind === 'malformed') {
      this.#pending.shift();
      lookup.reject(answer.error);
    } else if (answer.info === undefined || lookup.mode === 'info') {
      this.#pending.shift();
      lookup.resolve(answer.info);
    } else this.#beginBody(lookup, answer.info);
  }

  #beginBody(lookup: Lookup, info: ObjectInfo): void {
    if (info.size > lookup.maxBytes) {
      lookup.reject(
        new GitalyError(
          'RESOURCE_EXHAUSTED',
          `object of ${info.size} bytes exceeds ${lookup.maxBytes} bytes`,
        ),
      );
    }
    if (lookup.settled && info.size > DRAIN_BYTES) {
      this.#pending.shift();
      this.#kill();
      return;
    }
    this.#body = { info, kept: lookup.settled ? undefined : new BodyCollector(info.size) };
    if (info.size === 0) this.#endBody(lookup);
  }

  #endBody(lookup: Lookup): void {
    const body = this.#body;
    this.#body = undefined;
    this.#pending.shift();
    if (body?.kept !== undefined) lookup.resolve({ ...body.info, data: body.kept.data });
  }

  async #onClose(): Promise<void> {
    this.#gone = true;
    // A process that only closed its output is ended.
    await reaped(this.#run);
    await this.#run[Symbol.asyncDispose]();
    const unanswered = this.#pending;
    this.#pending = [];
    this.#onDied(unanswered);
  }
}
