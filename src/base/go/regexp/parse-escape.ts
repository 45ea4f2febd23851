import { RegexpError } from './syntax-tree.ts';

/** Characters from a position on, without splitting code points. */
export interface Cursor {
  readonly text: string;
  at: number;
}

const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const MAX_CODE_POINT = 0x10ffff;
const OCTAL = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/;
const HEX = /^x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))/;
const PUNCTUATION = /^[\0-\x7f]$/;
const ALPHANUMERIC = /^[0-9A-Za-z]$/;

/** Returns the code point at the cursor as text, and moves on; empty at the end. */
export function nextCharacter(cursor: Cursor): string {
  const codePoint = cursor.text.codePointAt(cursor.at);
  if (codePoint === undefined) return '';
  const character = String.fromCodePoint(codePoint);
  cursor.at += character.length;
  return character;
}

/**
 * Parses the escape of one character at the cursor, beginning with its backslash.
 *
 * @throws {RegexpError} `invalid escape sequence`, `trailing backslash at end of expression`.
 */
export function parseEscape(cursor: Cursor): number {
  const start = cursor.at++;
  const rest = cursor.text.slice(cursor.at);
  if (rest === '') throw new RegexpError('trailing backslash at end of expression', '');
  const octal = OCTAL.exec(rest)?.[0];
  if (octal !== undefined) {
    cursor.at += octal.length;
    return Number.parseInt(octal, 8);
  }
  const hex = HEX.exec(rest);
  if (hex !== null) {
    const codePoint = Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
    if (codePoint <= MAX_CODE_POINT) {
      cursor.at += hex[0].length;
      return codePoint;
    }
  }
  const character = nextCharacter(cursor);
  const control = Object.hasOwn(CONTROLS, character) ? CONTROLS[character] : undefined;
  if (control !== undefined) return control;
  if (PUNCTUATION.test(character) && !ALPHANUMERIC.test(character)) return character.codePointAt(0) ?? 0;
  throw new RegexpError('invalid escape sequence', cursor.text.slice(start, cursor.at));
}
