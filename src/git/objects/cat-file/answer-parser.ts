import { GitalyError } from '#base/gitaly-error';
import type { ObjectInfo } from '#git/names/object-info';
import { MAX_INFO_LINE_BYTES, parseHeader } from './cat-file-header.ts';

/** A piece of cat-file's output. */
export type CatFileAnswer =
  /** Start of an object; `undefined` if there is none. */
  | { readonly kind: 'header'; readonly info: ObjectInfo | undefined }
  /** Part of its contents, never empty, a view of the input. */
  | { readonly kind: 'data'; readonly bytes: Buffer; readonly isLast: boolean };

/**
 * Parses the output of `cat-file --batch-command` (or `--batch`, `--batch-check`) as it arrives:
 * `<oid> <type> <size>\n[<contents>\n]` for each object, `<name> missing\n` for a missing one. The
 * bodies of empty objects have no data. Buffers at most the start of a header.
 */
export class AnswerParser {
  readonly #delimiter: number;
  readonly #hasContents: boolean;
  #carry: Buffer | undefined;
  /** Remaining bytes of the current object. */
  #left = 0;
  /** One delimiter follows every body. */
  #skipDelimiter = false;

  constructor(options: { readonly delimiter: number; readonly contents: boolean }) {
    this.#delimiter = options.delimiter;
    this.#hasContents = options.contents;
  }

  /** True if the input ended after a complete response. */
  get isAtRest(): boolean {
    return this.#carry === undefined && this.#left === 0 && !this.#skipDelimiter;
  }

  /**
   * Parses a chunk. @throws {GitalyError} without a code, for anything that cat-file does not
   * print.
   */
  feed(chunk: Buffer): CatFileAnswer[] {
    const answers: CatFileAnswer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(at, at + this.#left);
        this.#left -= bytes.length;
        at += bytes.length;
        this.#skipDelimiter = this.#left === 0;
        answers.push({ kind: 'data', bytes, isLast: this.#left === 0 });
      } else if (this.#skipDelimiter) {
        // git prints more than the size of a loose object, if that is wrong.
        if (chunk[at] !== this.#delimiter) throw new GitalyError('UNKNOWN', 'an object has a wrong size');
        this.#skipDelimiter = false;
        at++;
      } else {
        const end = chunk.indexOf(this.#delimiter, at);
        const piece = chunk.subarray(at, end === -1 ? chunk.length : end);
        const line = this.#carry === undefined ? piece : Buffer.concat([this.#carry, piece]);
        this.#carry = undefined;
        if (end === -1 && line.length <= MAX_INFO_LINE_BYTES) this.#carry = line;
        else answers.push({ kind: 'header', info: this.#begin(line) });
        at += piece.length + 1;
      }
    }
    return answers;
  }

  #begin(line: Buffer): ObjectInfo | undefined {
    const info = parseHeader(line);
    if (info !== undefined && this.#hasContents) {
      this.#left = info.size;
      this.#skipDelimiter = info.size === 0;
    }
    return info;
  }
}
