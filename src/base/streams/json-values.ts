import { StringDecoder } from 'node:string_decoder';

const OPENING = new Set(['{', '[']);
const CLOSING = new Set(['}', ']']);
const SPACE = /\s/;

/**
 * Yields the JSON objects and lists of a text, which may be on any lines, with or without space in
 * between.
 *
 * @param options.maxLength limit of the characters of each.
 * @throws {SyntaxError} for anything else, a value that is too long, and one that is cut off.
 */
export async function* jsonValues(
  pieces: AsyncIterable<Uint8Array>,
  { maxLength }: { readonly maxLength: number },
): AsyncGenerator<unknown, void, undefined> {
  const decoder = new StringDecoder('utf8');
  const scanner = new Scanner(maxLength);
  for await (const piece of pieces) yield* scanner.read(decoder.write(Buffer.from(piece)));
  yield* scanner.read(decoder.end());
  scanner.end();
}

/** Finds the ends of values. */
class Scanner {
  readonly #maxLength: number;
  #depth = 0;
  #isInText = false;
  #isEscaped = false;
  /** The incomplete value, without the current piece. */
  #start = '';

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  *read(piece: string): Generator<unknown, void, undefined> {
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const character = piece.charAt(at);
      if (this.#depth === 0 && !OPENING.has(character)) {
        if (!SPACE.test(character)) throw new SyntaxError(`invalid character ${JSON.stringify(character)}`);
        from = at + 1;
      } else if (this.#closes(character)) {
        yield JSON.parse(this.#start + piece.slice(from, at + 1));
        this.#start = '';
        from = at + 1;
      } else if (this.#start.length + at - from > this.#maxLength)
        throw new SyntaxError(`a value is longer than ${this.#maxLength} characters`);
    }
    this.#start += piece.slice(from);
  }

  /** @throws {SyntaxError} if a value is incomplete. */
  end(): void {
    if (this.#depth > 0) throw new SyntaxError('unexpected EOF');
  }

  /** Notes a character of a value. @returns whether it is the last one. */
  #closes(character: string): boolean {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (this.#isInText) {
      if (character === '\\') this.#isEscaped = true;
      else if (character === '"') this.#isInText = false;
    } else if (character === '"') this.#isInText = true;
    else if (OPENING.has(character)) this.#depth++;
    else if (CLOSING.has(character)) return --this.#depth === 0;
    return false;
  }
}
