import { GitalyError } from '#base/gitaly-error';

/** The beginnings of a bundle. @see git: Documentation/gitformat-bundle */
const SIGNATURES: readonly string[] = ['# v2 git bundle', '# v3 git bundle'];
const SIGNATURE_BYTES = 16;
/** A prerequisite has the subject of its commit, a reference its name. */
const MAX_LINE_BYTES = 1024 * 1024;
/** A million references. git reads a header byte by byte: this much takes it half a minute. */
export const MAX_HEADER_BYTES = 64 * 1024 * 1024;
const LINE_FEED = 0x0a;

/**
 * Follows the header of a bundle that arrives in pieces. It ends with an empty line; git takes the
 * end of a file for one, so that a bundle that is cut off there is one with fewer references.
 */
export class HeaderScan {
  #state: 'signature' | 'lines' | 'complete' | 'other' = 'signature';
  #headerBytes = 0;
  #lineBytes = 0;
  readonly #start: number[] = [];

  /** False for bytes that git must not be given. */
  get isBundle(): boolean {
    return this.#state === 'lines' || this.#state === 'complete';
  }

  get isComplete(): boolean {
    return this.#state === 'complete';
  }

  /** Number of bytes so far, with the empty line at the end. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** @throws {GitalyError} RESOURCE_EXHAUSTED for a header of more than 64 MiB, or a line of 1 MiB. */
  add(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.length && (this.#state === 'signature' || this.#state === 'lines')) {
      const found = piece.indexOf(LINE_FEED, at);
      const end = found === -1 ? piece.length : found;
      this.#addToLine(piece.subarray(at, end));
      if (found !== -1) this.#endLine();
      this.#headerBytes += Math.min(end + 1, piece.length) - at;
      at = end + 1;
    }
  }

  #addToLine(part: Uint8Array): void {
    this.#lineBytes += part.length;
    if (this.#state === 'signature') this.#start.push(...part.subarray(0, SIGNATURE_BYTES));
    const isOther = this.#state === 'signature' && this.#lineBytes >= SIGNATURE_BYTES;
    if (isOther) this.#state = 'other';
    else if (this.#lineBytes > MAX_LINE_BYTES || this.#headerBytes + part.length > MAX_HEADER_BYTES)
      throw new GitalyError('RESOURCE_EXHAUSTED', 'the header of the bundle is too large');
  }

  #endLine(): void {
    if (this.#state === 'signature') {
      const isKnown = SIGNATURES.includes(String.fromCharCode(...this.#start));
      this.#state = isKnown ? 'lines' : 'other';
    } else if (this.#lineBytes === 0) this.#state = 'complete';
    this.#lineBytes = 0;
  }
}
