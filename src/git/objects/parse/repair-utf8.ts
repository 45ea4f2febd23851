import { isUtf8 } from 'node:buffer';

/**
 * Matches Unicode's noncharacters: U+FDD0 to U+FDEF, and the last two of each of the 17 planes.
 */
const NON_CHARACTER = new RegExp(
  `[\\uFDD0-\\uFDEF${Array.from({ length: 17 }, (_, plane) => lastTwoOf(plane.toString(16))).join('')}]`,
  'u',
);

function lastTwoOf(plane: string): string {
  return `\\u{${plane}FFFE}-\\u{${plane}FFFF}`;
}

/**
 * Repairs text that is not UTF-8 as git does: every byte that is not part of a valid character is
 * treated as Latin-1.
 *
 * @returns the same bytes if there is nothing to repair.
 */
export function repairUtf8(text: Buffer): Buffer {
  if (isUtf8(text) && !NON_CHARACTER.test(text.toString())) return text;
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; ) {
    const length = characterLength(text, at);
    const byte = text[at] ?? 0;
    parts.push(
      length === 0 ? Buffer.of(0xc0 | (byte >> 6), 0x80 | (byte & 0x3f)) : text.subarray(at, at + length),
    );
    at += Math.max(length, 1);
  }
  return Buffer.concat(parts);
}

/** Returns the size of the character at an offset; 0 if there is none. */
function characterLength(text: Buffer, at: number): number {
  const first = text[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  const piece = text.subarray(at, at + length);
  return length > 0 && piece.length === length && isUtf8(piece) && !NON_CHARACTER.test(piece.toString())
    ? length
    : 0;
}
