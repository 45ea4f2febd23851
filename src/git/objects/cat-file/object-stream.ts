import { Readable } from 'node:stream';
import { abortable } from '#base/async/abortable';
import { GitalyError } from '#base/gitaly-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { abortError } from '#git/command/process/exit-error';
import type { GitProcess } from '#git/command/process/git-process';
import type { ObjectInfo } from '#git/names/object-info';
import { AnswerParser } from './answer-parser.ts';
import { deadError, reaped } from './dead-process.ts';

/**
 * The contents of one big object, read directly from a process that serves nothing else meanwhile.
 * Only one chunk is read ahead, so a slow reader stops git. Destroying it early ends the process.
 */
export class ObjectStream extends Readable {
  readonly #run: GitProcess;
  readonly #parser: AnswerParser;
  readonly #onFinished: () => void;
  readonly #header = Promise.withResolvers<ObjectInfo | undefined>();
  readonly #onReadable = (): void => this.#pump();
  readonly #onClose = (): void => void this.#fail();
  /** The header is read before anyone reads the stream. */
  #isWanted = true;
  #hasBegun = false;
  #isComplete = false;
  #isFinished = false;

  /**
   * Requests an object.
   *
   * @param run A `cat-file` whose responses have all been read.
   * @param onFinished Called when the process has no further output for this object.
   */
  constructor(run: GitProcess, request: { oid: string; delimiter: number; onFinished: () => void }) {
    super({ highWaterMark: 65_536 });
    const { oid, delimiter, onFinished } = request;
    this.#run = run;
    this.#parser = new AnswerParser({ delimiter, contents: () => true });
    this.#onFinished = onFinished;
    // It may fail before there is a listener; the reader receives the error nevertheless.
    this.on('error', () => {});
    run.stdout.on('readable', this.#onReadable);
    if (run.stdout.destroyed)
      void this.#fail(); // it has ended since the object before
    else run.stdout.once('close', this.#onClose);
    const end = String.fromCharCode(delimiter);
    run.stdin.write(`contents ${oid}${end}flush${end}`, 'latin1');
  }

  /**
   * Resolves with the object's info when its contents follow; `undefined` if there is no such
   * object.
   *
   * @throws {GitalyError} `read info line: EOF` when git dies of it; CANCELLED or
   *   DEADLINE_EXCEEDED.
   */
  async begun(signal: AbortSignal | undefined): Promise<ObjectInfo | undefined> {
    const { promise } = this.#header;
    try {
      return await (signal === undefined ? promise : abortable(promise, signal, abortError));
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  override _read(): void {
    this.#isWanted = true;
    this.#pump();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#header.reject(error);
    if (!this.#isFinished) {
      this.#leave();
      void this.#run[Symbol.asyncDispose]();
    }
    callback(error);
  }

  #pump(): void {
    while (this.#isWanted && !this.destroyed) {
      const chunk = this.#run.stdout.read();
      if (chunk === null) return;
      noteBulkBytes(chunk.length);
      try {
        for (const answer of this.#parser.feed(chunk)) {
          if (answer.kind === 'malformed') throw answer.error;
          if (answer.kind === 'data') {
            this.#isWanted = this.push(answer.bytes);
            this.#isComplete = answer.isLast;
          } else {
            this.#hasBegun = true;
            this.#header.resolve(answer.info);
          }
        }
      } catch (error) {
        this.#stop(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      if (this.#parser.isAtRest && !this.destroyed) this.#finish();
    }
  }

  #finish(): void {
    this.#isWanted = false;
    this.#isFinished = true;
    this.#leave();
    this.push(null);
    this.#onFinished();
  }

  #leave(): void {
    this.#run.stdout.off('readable', this.#onReadable);
    this.#run.stdout.off('close', this.#onClose);
  }

  /** Fails the reader of a process that ended early. */
  async #fail(): Promise<void> {
    await reaped(this.#run);
    const stderr = this.#run.stderr();
    this.#stop(
      this.#hasBegun
        ? new GitalyError('UNKNOWN', 'unexpected EOF', { metadata: { stderr } })
        : deadError(stderr),
    );
  }

  /** Ends the stream, and the process with it. What follows the contents does not matter. */
  #stop(error: Error): void {
    this.#isWanted = false;
    if (this.#isComplete) this.push(null);
    else this.destroy(error);
  }
}
