/** Limits that keep the time of a match below a millisecond. */
export const MAX_PATTERN_CHARACTERS = 256;

/**
 * Reports whether a whole text fits a pattern: `*` matches any characters but `/`, `**` any
 * characters, everything else itself. Time: the product of both lengths.
 */
export function fitsPattern(pattern: string, text: string): boolean {
  const parts = partsOf(pattern);
  // Position n: the first n parts fit what has been read.
  let at = withSkipped(new Set([0]), parts);
  for (const character of text) {
    const next = new Set<number>();
    for (const position of at) {
      const part = parts[position];
      if (part === '**' || (part === '*' && character !== '/')) next.add(position);
      else if (part === character) next.add(position + 1);
    }
    at = withSkipped(next, parts);
    if (at.size === 0) return false;
  }
  return at.has(parts.length);
}

/** Reports whether every text fits a pattern. */
export function fitsAll(pattern: string): boolean {
  return pattern === '**';
}

function partsOf(pattern: string): readonly string[] {
  const parts: string[] = [];
  for (const character of pattern) {
    if (character === '*' && parts.at(-1) === '*') parts[parts.length - 1] = '**';
    else if (character !== '*' || parts.at(-1) !== '**') parts.push(character);
  }
  return parts;
}

/** Adds the positions behind stars, which may match nothing. */
function withSkipped(positions: Set<number>, parts: readonly string[]): Set<number> {
  // Positions that are added during the iteration are visited, too.
  for (const position of positions)
    if (parts[position] === '*' || parts[position] === '**') positions.add(position + 1);
  return positions;
}
