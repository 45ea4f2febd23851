/** The start of a file, and its lines as counted by the rules for generated files. */
export class TextLines {
  readonly text: string;
  readonly #content: Buffer;
  #all: string[] | undefined;

  constructor(content: Buffer) {
    this.text = content.toString();
    this.#content = content;
  }

  /** Total size of all lines without their ends. */
  get lineBytes(): number {
    return this.#content.length - (this.text.split('\n').length - 1);
  }

  /** All lines; a line feed at the end begins no further one, and an empty text has none. */
  get all(): readonly string[] {
    if (this.#all === undefined) {
      this.#all = this.text.split('\n');
      if (this.#all.at(-1) === '') this.#all.pop();
    }
    return this.#all;
  }

  /** Returns at most this many lines from the start. */
  first(count: number): readonly string[] {
    return this.all.slice(0, count);
  }

  /**
   * Returns the last two lines, the last one first. A line that begins at the last character or
   * after it (an empty one after a final line feed, or a single character) is ignored, as in the
   * original.
   */
  lastTwo(): readonly string[] {
    const { text } = this;
    const lines: string[] = [];
    for (let end = text.length; end > 0 && lines.length < 2; ) {
      const start = text.lastIndexOf('\n', end - 1) + 1;
      if (start < text.length - 1) lines.push(text.slice(start, end));
      end = start - 1;
    }
    return lines;
  }
}
