/** Limits that keep the time of a match below a millisecond. */
export const MAX_PATTERN_CHARACTERS = 256;

const STAR = 0x2a;
const SLASH = 0x2f;

/**
 * Reports whether a whole text fits a pattern: `*` matches any characters but `/`, `**` any
 * characters, everything else itself. Time: the product of both lengths. A text that differs before
 * the first star or behind the last one takes only that comparison.
 */
export function fitsPattern(pattern: string, text: string): boolean {
  const first = pattern.indexOf('*');
  if (first === -1) return pattern === text;
  const end = pattern.slice(pattern.lastIndexOf('*') + 1);
  if (!text.startsWith(pattern.slice(0, first)) || !text.endsWith(end)) return false;
  // Positions in the pattern, in order: what is before each fits what has been read.
  let at: number[] = [];
  let next: number[] = [];
  reach(pattern, first, at);
  for (let index = first; index < text.length && at.length > 0; index++) {
    // Only `**`, and what follows it.
    if (at.length === 2 && pattern.startsWith('**', at[0])) {
      index = text.indexOf(pattern.charAt(at[1] ?? 0), index);
      if (index === -1) return false;
    }
    step(pattern, at, text.charCodeAt(index), next);
    [at, next] = [next, at];
    next.length = 0;
  }
  return at.at(-1) === pattern.length;
}

/** Reports whether every text fits a pattern. */
export function fitsAll(pattern: string): boolean {
  return pattern === '**';
}

/** Adds the positions after one more character to `next`. */
function step(pattern: string, at: readonly number[], character: number, next: number[]): void {
  for (const position of at) {
    const expected = pattern.charCodeAt(position);
    if (expected !== STAR) {
      if (expected === character) reach(pattern, position + 1, next);
    } else if (character !== SLASH || pattern.charCodeAt(position + 1) === STAR) {
      reach(pattern, position, next);
    }
  }
}

/** Adds a position, and the one behind the stars there, which may match nothing. */
function reach(pattern: string, position: number, positions: number[]): void {
  if (position > (positions.at(-1) ?? -1)) positions.push(position);
  if (pattern.charCodeAt(position) !== STAR) return;
  let behind = position + 1;
  while (pattern.charCodeAt(behind) === STAR) behind++;
  if (behind > (positions.at(-1) ?? -1)) positions.push(behind);
}
