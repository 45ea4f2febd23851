/** Limits that keep the time of a match below a millisecond. */
export const MAX_PATTERN_CHARACTERS = 256;

const STAR = 0x2a;
const SLASH = 0x2f;

/**
 * Reports whether a whole text fits a pattern: `*` matches any characters but `/`, `**` any
 * characters, everything else itself. Time: the product of both lengths; mostly that of the text
 * before the first star.
 */
export function fitsPattern(pattern: string, text: string): boolean {
  const plain = pattern.indexOf('*');
  if (plain === -1) return pattern === text;
  if (!text.startsWith(pattern.slice(0, plain))) return false;
  // Positions in the pattern, in order: what is before each fits what has been read.
  let at: readonly number[] = afterStars(pattern, plain);
  for (let index = plain; index < text.length && at.length > 0; index++)
    at = stepped(pattern, at, text.charCodeAt(index));
  return at.at(-1) === pattern.length;
}

/** Reports whether every text fits a pattern. */
export function fitsAll(pattern: string): boolean {
  return pattern === '**';
}

/** Returns the positions after one more character. */
function stepped(pattern: string, at: readonly number[], character: number): number[] {
  const next: number[] = [];
  for (const position of at) {
    const expected = pattern.charCodeAt(position);
    const stays = expected === STAR && (character !== SLASH || pattern.charCodeAt(position + 1) === STAR);
    if (!stays && (expected !== character || expected === STAR)) continue;
    for (const reached of afterStars(pattern, stays ? position : position + 1))
      if (reached > (next.at(-1) ?? -1)) next.push(reached);
  }
  return next;
}

/** Returns a position, and the one behind the stars there, which may match nothing. */
function afterStars(pattern: string, position: number): number[] {
  if (pattern.charCodeAt(position) !== STAR) return [position];
  let behind = position + 1;
  while (pattern.charCodeAt(behind) === STAR) behind++;
  return [position, behind];
}
