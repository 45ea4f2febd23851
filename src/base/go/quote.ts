import { isUtf8 } from 'node:buffer';

/** Escapes of bytes, by their value. */
const BYTE_ESCAPES = Array.from({ length: 256 }, (_, byte) => `\\x${hex(byte, 2)}`);
/** Escapes of ASCII characters, by their code. */
const ASCII_ESCAPES = BYTE_ESCAPES.slice(0, 128);
for (const [character, written] of Object.entries({
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
}))
  ASCII_ESCAPES[character.charCodeAt(0)] = written;

/**
 * Characters that are not printed unchanged: all but letters, marks, numbers, punctuation, symbols
 * and the ASCII space, and those that have a meaning inside quotes.
 */
const ESCAPED = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["\\]/gu;

/**
 * Quotes text in double quotes as Go's `%q` does, because clients and golden tests compare such
 * messages. It writes short escapes for `\a \b \f \n \r \t \v \\ \"`, `\x00` for other control
 * characters and for bytes that are not UTF-8, and `\u0000` and `\U00000000` for unprintable
 * characters.
 */
export function quote(text: string | Uint8Array): string {
  if (typeof text === 'string') return `"${printable(text.toWellFormed())}"`;
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  return isUtf8(bytes) ? `"${printable(bytes.toString())}"` : quoteInvalid(bytes);
}

/** Quotes bytes of which some are not UTF-8. */
function quoteInvalid(bytes: Buffer): string {
  let out = '"';
  let start = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    at += length || 1;
    if (length > 0) continue;
    if (at - 1 > start) out += printable(bytes.toString('utf8', start, at - 1));
    out += BYTE_ESCAPES[bytes[at - 1] ?? 0];
    start = at;
  }
  return `${out}${printable(bytes.toString('utf8', start))}"`;
}

/** Returns the number of bytes of the character at an offset; 0 if they are not UTF-8. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const second = bytes[at + 1] ?? 0;
  if (first < 0xc2 || first > 0xf4 || !isContinuation(second)) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) {
    // No overlong form, and no surrogate.
    if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) return 0;
    return isContinuation(bytes[at + 2]) ? 3 : 0;
  }
  // No overlong form, and nothing above U+10FFFF.
  if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) return 0;
  return isContinuation(bytes[at + 2]) && isContinuation(bytes[at + 3]) ? 4 : 0;
}

/** Reports whether a byte of UTF-8 continues a character. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function printable(text: string): string {
  return text.replace(ESCAPED, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return ASCII_ESCAPES[code] ?? (code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
