/** Kind of a token: that of a value, in the words of Go's errors, the key of an object, or its end. */
export type JsonToken = 'object' | 'array' | 'string' | 'number' | 'bool' | 'null' | 'key' | 'end';

/** Go's decoder refuses more. */
const MAX_DEPTH = 10_000;
/** Characters of a piece of a long string: decoding one takes a fraction of a millisecond. */
const PIECE_LENGTH = 64 * 1024;

const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERALS = { true: 'bool', false: 'bool', null: 'null' } as const;

/** Text that is no JSON. The message is that of Go's decoder, and empty when the text ends early. */
export class JsonProblem extends Error {}

/**
 * Reads a JSON value token by token, so that the reader can pause: each step takes a bounded time,
 * except for spaces and numbers of many megabytes.
 */
export class JsonScanner {
  readonly #text: string;
  readonly #open: ('object' | 'array')[] = [];
  #position = 0;
  #depth = 0;
  #expected: 'value' | 'key' | 'rest of a key' | 'rest of a string' | 'separator' = 'value';
  #start = 0;
  #end = 0;

  /** @param text a character for each byte of the document (latin1). */
  constructor(text: string) {
    this.#text = text;
  }

  /** Number of objects and arrays around the last token. */
  get depth(): number {
    return this.#depth;
  }

  /** Start of the last key or string, or of its last piece, without the quotes. */
  get start(): number {
    return this.#start;
  }

  /** End of the last key or string, or of its last piece. */
  get end(): number {
    return this.#end;
  }

  /** Reports whether the last key or string has more pieces; the next tokens are those. */
  get isPartial(): boolean {
    return this.#expected === 'rest of a key' || this.#expected === 'rest of a string';
  }

  /** Requires that nothing follows the value. @throws {JsonProblem} */
  requireEnd(): void {
    this.#skipSpace();
    if (this.#position < this.#text.length) throw this.#problem('after top-level value');
  }

  /**
   * Reads the next token; `undefined` at the end of the value. A long key or string has several,
   * one for each piece.
   *
   * @throws {JsonProblem}
   */
  next(): JsonToken | undefined {
    if (this.#expected === 'rest of a key' || this.#expected === 'rest of a string') return this.#readPiece();
    this.#skipSpace();
    this.#depth = this.#open.length;
    if (this.#expected === 'separator') {
      const kind = this.#open.at(-1);
      if (kind === undefined) return undefined;
      if (!this.#take(',')) return this.#close(kind);
      this.#skipSpace();
      this.#expected = kind === 'object' ? 'key' : 'value';
    }
    return this.#expected === 'key' ? this.#readKey() : this.#readValue();
  }

  #readKey(): JsonToken {
    if (!this.#take('"')) throw this.#problem('looking for beginning of object key string');
    this.#expected = 'rest of a key';
    return this.#readPiece();
  }

  #readValue(): JsonToken {
    if (this.#take('{')) return this.#openContainer('object');
    if (this.#take('[')) return this.#openContainer('array');
    if (this.#take('"')) {
      this.#expected = 'rest of a string';
      return this.#readPiece();
    }
    this.#expected = 'separator';
    NUMBER.lastIndex = this.#position;
    if (!NUMBER.test(this.#text)) return this.#readLiteral();
    this.#position = NUMBER.lastIndex;
    return 'number';
  }

  #openContainer(kind: 'object' | 'array'): JsonToken {
    if (this.#open.length === MAX_DEPTH) throw this.#problem('exceeded max depth', this.#position - 1);
    this.#skipSpace();
    this.#open.push(kind);
    if (this.#text[this.#position] === (kind === 'object' ? '}' : ']')) this.#expected = 'separator';
    else this.#expected = kind === 'object' ? 'key' : 'value';
    return kind;
  }

  #close(kind: 'object' | 'array'): JsonToken {
    if (!this.#take(kind === 'object' ? '}' : ']'))
      throw this.#problem(kind === 'object' ? 'after object key:value pair' : 'after array element');
    this.#open.pop();
    this.#depth--;
    return 'end';
  }

  #readLiteral(): JsonToken {
    const start = this.#position;
    for (const [word, kind] of Object.entries(LITERALS)) {
      if (this.#text[start] !== word[0]) continue;
      for (const character of word) {
        if (!this.#take(character)) throw this.#problem(`in literal ${word} (expecting '${character}')`);
      }
      return kind;
    }
    throw this.#problem('looking for beginning of value');
  }

  /** Reads up to the end of a string, or a piece that can be decoded by itself. */
  #readPiece(): JsonToken {
    const token = this.#expected === 'rest of a key' ? 'key' : 'string';
    this.#start = this.#position;
    for (;;) {
      const character = this.#text[this.#position];
      if (character === '"') break;
      if (this.#position - this.#start >= PIECE_LENGTH && this.#isBetweenCharacters()) {
        this.#end = this.#position;
        return token;
      }
      if (character === undefined || character < ' ') throw this.#problem('in string literal');
      this.#position++;
      if (character === '\\') this.#skipEscape();
    }
    this.#end = this.#position;
    this.#position++;
    if (token === 'key') {
      this.#skipSpace();
      if (!this.#take(':')) throw this.#problem('after object key');
    }
    this.#expected = token === 'key' ? 'value' : 'separator';
    return token;
  }

  /** Reports whether the next byte continues no UTF-8 sequence; those have at most three such bytes. */
  #isBetweenCharacters(): boolean {
    if (!this.#isContinuation(this.#position)) return true;
    return [1, 2, 3].every((back) => this.#isContinuation(this.#position - back));
  }

  #isContinuation(at: number): boolean {
    const byte = this.#text.charCodeAt(at);
    return byte >= 0x80 && byte < 0xc0;
  }

  #skipEscape(): void {
    const kind = this.#text[this.#position] ?? '';
    if (kind === '' || !'"\\/bfnrtu'.includes(kind)) throw this.#problem('in string escape code');
    this.#position++;
    if (kind !== 'u') return;
    for (const last = this.#position + 4; this.#position < last; this.#position++) {
      if (!/[0-9a-fA-F]/.test(this.#text[this.#position] ?? ''))
        throw this.#problem(String.raw`in \u hexadecimal character escape`);
    }
  }

  /** Returns the error about the character at a place; without one, the text ends early. */
  #problem(context: string, at = this.#position): JsonProblem {
    const character = this.#text[at];
    return new JsonProblem(
      character === undefined ? '' : `invalid character ${quoteCharacter(character)} ${context}`,
    );
  }

  #take(character: string): boolean {
    if (this.#text[this.#position] !== character) return false;
    this.#position++;
    return true;
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#position;
    SPACE.test(this.#text);
    this.#position = SPACE.lastIndex;
  }
}

function quoteCharacter(character: string): string {
  if (character === "'") return String.raw`'\''`;
  if (character === '"') return `'"'`;
  return `'${JSON.stringify(character).slice(1, -1)}'`;
}
