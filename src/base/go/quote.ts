const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

/**
 * Letters, marks, numbers, punctuation, symbols and the ASCII space are printed unchanged; all
 * other characters are escaped.
 */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/**
 * Quotes text in double quotes as Go's `%q` does, because clients and golden tests compare such
 * messages. It writes short escapes for `\a \b \f \n \r \t \v \\ \"`, `\x00` for other control
 * characters and for bytes that are not UTF-8, and `\u0000` and `\U00000000` for unprintable
 * characters.
 */
export function quote(text: string | Uint8Array): string {
  const bytes =
    typeof text === 'string' ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  let out = '"';
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    if (character === undefined) {
      out += `\\x${hex(bytes[at] ?? 0, 2)}`;
      at++;
    } else {
      out += escaped(character);
      at += Buffer.byteLength(character);
    }
  }
  return `${out}"`;
}

/**
 * Returns the character that starts at a byte offset; `undefined` if the bytes there are not UTF-8.
 */
function characterAt(bytes: Buffer, at: number): string | undefined {
  const first = bytes[at] ?? 0;
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return undefined;
  const piece = bytes.subarray(at, at + length);
  const text = piece.toString('utf8');
  return Buffer.from(text).equals(piece) ? text : undefined;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const short = SHORT_ESCAPES[code];
  if (short !== undefined) return short;
  if (PRINTABLE.test(character)) return character;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
