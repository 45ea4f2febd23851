/** The start of a file, and its lines as the rules about generated files count them. */
export class TextLines {
  readonly text: string;
  readonly #content: Buffer;
  #all: string[] | undefined;

  constructor(content: Buffer) {
    this.text = content.toString();
    this.#content = content;
  }

  /** Bytes of all lines together, without their ends. */
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

  /** At most so many lines from the start. */
  first(count: number): readonly string[] {
    return this.all.slice(0, count);
  }

  /**
   * The last two lines, the very last first. A line that begins at the last character or behind it (the empty one after a final line feed, but
   * also one of a single character) does not count: so it is in the original.
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
