import type { Arg } from './spawner/spawner.ts';

/**
 * Matches the separator before a half of a revision: `a..b` and `a...b` have two halves, `^a` one.
 * Further dots belong to the separator, because git commands differ in where they split `a....b`.
 */
const HALF = /^\^+|\.\.+/g;
const DASH = '-';

/**
 * Returns the first half of a range that begins with a dash. Some git commands split a range and
 * pass each half to another git, which parses a half with a dash as an option: for `range-diff
 * main...--output=x`, git runs `git log --output=x..main`. `main^-` is accepted: its dash follows a
 * name.
 */
export function dashedHalf(word: Arg): string | undefined {
  const bytes = Buffer.from(word);
  // One character per byte: the separators are ASCII.
  const text = bytes.toString('latin1');
  for (const { index, 0: separator } of text.matchAll(HALF)) {
    const start = index + separator.length;
    if (text[start] === DASH) return bytes.subarray(start).toString();
  }
  return undefined;
}
