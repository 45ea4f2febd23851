import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ObjectInfo } from '#git/names/object-info';
import { MAX_INFO_LINE_BYTES, parseHeader } from './cat-file-header.ts';

/** A piece of cat-file's output. */
export type CatFileAnswer =
  /** Start of an object; `undefined` if there is none. */
  | { readonly kind: 'header'; readonly info: ObjectInfo | undefined }
  /** A line that names no object, such as an ambiguous short id. */
  | { readonly kind: 'malformed'; readonly error: unknown }
  /** Part of an object's contents, never empty, a view of the input. */
  | { readonly kind: 'data'; readonly bytes: Buffer; readonly isLast: boolean };

export interface AnswerParserOptions {
  /** Byte after every header and every body. */
  readonly delimiter: number;
  /** Reports whether the object whose header is parsed next is printed with its contents. */
  readonly contents: () => boolean;
  /** Returns the length of the requested name, which git prints if there is no object. Default 0. */
  readonly nameBytes?: () => number;
}

/**
 * Parses the output of `cat-file --batch-command` (or `--batch`, `--batch-check`) as it arrives:
 * `<oid> <type> <size>\n[<contents>\n]` for each object, `<name> missing\n` for a missing one. The
 * bodies of empty objects have no data. Buffers at most the start of a header.
 */
export class AnswerParser {
  readonly #options: AnswerParserOptions;
  /** The incomplete header at the end of the last chunk, joined once: a long name has many parts. */
  #carry: Buffer[] = [];
  #carriedBytes = 0;
  /** Remaining bytes of the current object. */
  #left = 0;
  /** One delimiter follows every body. */
  #skipDelimiter = false;

  constructor(options: AnswerParserOptions) {
    this.#options = options;
  }

  /** True if the input ended after a complete response. */
  get isAtRest(): boolean {
    return this.#carriedBytes === 0 && this.#left === 0 && !this.#skipDelimiter;
  }

  /**
   * Parses a chunk. Each response must be handled before the next is requested.
   *
   * @throws {GitalyError} without a code, for anything that cat-file does not print. Nothing after
   *   it can be trusted.
   */
  *feed(chunk: Buffer): Generator<CatFileAnswer> {
    const { delimiter } = this.#options;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(at, at + this.#left);
        this.#left -= bytes.length;
        at += bytes.length;
        this.#skipDelimiter = this.#left === 0;
        yield { kind: 'data', bytes, isLast: this.#left === 0 };
      } else if (this.#skipDelimiter) {
        // git prints more than the size of a loose object, if that is wrong.
        if (chunk[at] !== delimiter) throw new GitalyError('UNKNOWN', 'an object has a wrong size');
        this.#skipDelimiter = false;
        at++;
      } else {
        const end = chunk.indexOf(delimiter, at);
        const line = this.#line(chunk.subarray(at, end === -1 ? chunk.length : end), end !== -1);
        at = end === -1 ? chunk.length : end + 1;
        if (line !== undefined) yield this.#begin(line);
      }
    }
  }

  /** Returns a header that ends with this piece; `undefined` if it does not end yet. */
  #line(piece: Buffer, isComplete: boolean): Buffer | undefined {
    this.#carriedBytes += piece.length;
    const maxBytes = MAX_INFO_LINE_BYTES + (this.#options.nameBytes?.() ?? 0);
    // Such a line is the rest of an object.
    if (this.#carriedBytes > maxBytes || (isComplete && this.#carriedBytes === 0))
      throw new GitalyError('UNKNOWN', `invalid info line: ${quote(piece.subarray(0, 100))}`);
    this.#carry.push(piece);
    if (!isComplete) return undefined;
    this.#carriedBytes = 0;
    const pieces = this.#carry.splice(0);
    return pieces.length === 1 ? piece : Buffer.concat(pieces);
  }

  #begin(line: Buffer): CatFileAnswer {
    try {
      const info = parseHeader(line);
      if (info !== undefined && this.#options.contents()) {
        this.#left = info.size;
        this.#skipDelimiter = info.size === 0;
      }
      return { kind: 'header', info };
    } catch (error) {
      return { kind: 'malformed', error };
    }
  }
}
