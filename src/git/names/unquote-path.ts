const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const NINE = 0x39;

/** Values of escape letters after a backslash, by code. */
const ESCAPES = new Map(
  Object.entries({ a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 }).map(([key, code]) => [
    key.charCodeAt(0),
    code,
  ]),
);
/** Characters that represent themselves after a backslash. */
const LITERAL = new Set(Buffer.from('"\\/\''));

/**
 * Returns the path that git prints in double quotes with C escapes (`"tab\there"`, `"latin-\351"`)
 * if it contains special bytes. A path without quotes or escapes is returned unchanged (the same
 * memory).
 */
export function unquotePath(text: Buffer): Buffer {
  const isQuoted = text.length >= 2 && text[0] === QUOTE && text[text.length - 1] === QUOTE;
  return unescapePath(isQuoted ? text.subarray(1, -1) : text);
}

/** Decodes C escapes. A backslash without a valid escape is kept. */
export function unescapePath(text: Buffer): Buffer {
  if (!text.includes(BACKSLASH)) return text;
  const out = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] ?? 0;
    const next = text[at + 1];
    if (byte !== BACKSLASH || next === undefined) {
      out[length++] = byte;
      continue;
    }
    const octal = octalByte(text, at + 1);
    const known = ESCAPES.get(next) ?? (LITERAL.has(next) ? next : undefined);
    if (octal !== undefined) {
      out[length++] = octal;
      at += 3;
    } else if (known !== undefined) {
      out[length++] = known;
      at++;
    } else {
      out[length++] = BACKSLASH;
      out[length++] = next;
      at++;
    }
  }
  return out.subarray(0, length);
}

/** Returns the byte of three octal digits. */
function octalByte(text: Buffer, at: number): number | undefined {
  let byte = 0;
  for (let index = at; index < at + 3; index++) {
    const digit = text[index];
    if (digit === undefined || digit < ZERO || digit > NINE - 2) return undefined;
    byte = byte * 8 + digit - ZERO;
  }
  return byte <= 0xff ? byte : undefined;
}
