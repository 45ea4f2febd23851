import { bytesOfLines, type Lines } from '#git/lines/split-lines';

const FIRST_BYTES = 4096;
const LINE_FEED = 0x0a;
const NO_LINE_FEED = '\n\\ No newline at end of file\n';

/** Collects the bytes of a diff. The caller limits what it writes. */
export class TextWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  /** Returns the written bytes as a view. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** @param text One character per byte. */
  text(text: string): void {
    this.#reserve(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  add(bytes: Buffer): void {
    this.#reserve(bytes.length);
    bytes.copy(this.#buffer, this.#length);
    this.#length += bytes.length;
  }

  /** Writes lines of a file, each after a byte; git's mark follows a last one without a line feed. */
  lines(lines: Lines, from: number, to: number, mark: number): void {
    if (from === to) return;
    const bytes = bytesOfLines(lines, from, to);
    this.#reserve(bytes.length + to - from);
    const buffer = this.#buffer;
    const base = lines.starts[from] ?? 0;
    let at = this.#length;
    for (let line = from; line < to; line++) {
      buffer[at++] = mark;
      at += bytes.copy(buffer, at, (lines.starts[line] ?? 0) - base, (lines.starts[line + 1] ?? 0) - base);
    }
    this.#length = at;
    if (bytes.at(-1) !== LINE_FEED) this.text(NO_LINE_FEED);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + count));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
