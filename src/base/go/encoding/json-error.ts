/**
 * Error texts of Go's JSON decoder. They reach clients (a hook's refusal quotes them), so they must
 * stay the same. The texts of `JSON.parse` differ between engines.
 */
const LITERALS = ['true', 'false', 'null'] as const;

class JsonProblem extends Error {}

/**
 * Describes the error in `text` as a JSON document.
 *
 * @param truncated selects the text for an early end: the decoder of a stream reports `unexpected
 *   EOF` (`EOF` for empty input), the decoder of a whole document `unexpected end of JSON input`.
 * @returns `undefined` when the text is a JSON value. More text may follow it in a stream, but not
 *   in a document.
 */
export function describeJsonError(text: string, truncated: 'stream' | 'document'): string | undefined {
  try {
    const end = skipSpace(text, skipValue(text, skipSpace(text, 0)));
    if (truncated === 'document' && end < text.length) throw problem(text, end, 'after top-level value');
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    if (error.message !== '') return error.message;
    if (truncated === 'document') return 'unexpected end of JSON input';
    return text.trim() === '' ? 'EOF' : 'unexpected EOF';
  }
}

function problem(text: string, at: number, context: string): JsonProblem {
  const character = text[at];
  return new JsonProblem(
    character === undefined ? '' : `invalid character ${quoteCharacter(character)} ${context}`,
  );
}

function quoteCharacter(character: string): string {
  if (character === "'") return String.raw`'\''`;
  if (character === '"') return `'"'`;
  return `'${JSON.stringify(character).slice(1, -1)}'`;
}

function skipSpace(text: string, at: number): number {
  let position = at;
  while (text[position] !== undefined && ' \t\r\n'.includes(text[position] ?? '')) position++;
  return position;
}

/**
 * Skips the value that starts at `at`. An explicit stack holds nested values, so nesting uses no
 * call stack.
 */
function skipValue(text: string, at: number): number {
  const open: ('object' | 'array')[] = [];
  let position = at;
  for (;;) {
    const character = text[position];
    if (character === '{' || character === '[') {
      const kind = character === '{' ? 'object' : 'array';
      const inner = skipSpace(text, position + 1);
      if (text[inner] !== (kind === 'object' ? '}' : ']')) {
        open.push(kind);
        position = kind === 'object' ? skipKey(text, inner) : inner;
        continue;
      }
      position = inner + 1;
    } else {
      position = skipScalar(text, position);
    }
    for (;;) {
      const kind = open.at(-1);
      if (kind === undefined) return position;
      position = skipSpace(text, position);
      if (text[position] === ',') {
        position = skipSpace(text, position + 1);
        if (kind === 'object') position = skipKey(text, position);
        break;
      }
      if (text[position] !== (kind === 'object' ? '}' : ']')) {
        throw problem(
          text,
          position,
          kind === 'object' ? 'after object key:value pair' : 'after array element',
        );
      }
      open.pop();
      position++;
    }
  }
}

function skipKey(text: string, at: number): number {
  if (text[at] !== '"') throw problem(text, at, 'looking for beginning of object key string');
  const colon = skipSpace(text, skipString(text, at));
  if (text[colon] !== ':') throw problem(text, colon, 'after object key');
  return skipSpace(text, colon + 1);
}

function skipScalar(text: string, at: number): number {
  if (text[at] === '"') return skipString(text, at);
  const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  number.lastIndex = at;
  if (number.test(text)) return number.lastIndex;
  const literal = LITERALS.find((word) => word[0] === text[at]);
  if (literal === undefined) throw problem(text, at, 'looking for beginning of value');
  for (let index = 1; index < literal.length; index++) {
    if (text[at + index] !== literal[index])
      throw problem(text, at + index, `in literal ${literal} (expecting '${literal[index]}')`);
  }
  return at + literal.length;
}

/** Skips the digits of `\u00e9`, which begin at `at`, and returns the place of the last one. */
function skipHexDigits(text: string, at: number): number {
  for (let position = at; position < at + 4; position++) {
    if (!/[0-9a-fA-F]/.test(text[position] ?? '0'))
      throw problem(text, position, String.raw`in \u hexadecimal character escape`);
  }
  return at + 3;
}

function skipString(text: string, at: number): number {
  for (let position = at + 1; ; position++) {
    const character = text[position];
    if (character === '"') return position + 1;
    if (character === '\\') {
      position++;
      if (!'"\\/bfnrtu'.includes(text[position] ?? '"'))
        throw problem(text, position, 'in string escape code');
      if (text[position] === 'u') position = skipHexDigits(text, position + 1);
    } else if (character === undefined || character < ' ') {
      throw problem(text, position, 'in string literal');
    }
  }
}
