const SPECIAL = /[\\[\].*^$]/g;

/** Returns git's basic expression for a text itself, such as the author of a log. */
export function literalPattern(text: string): string {
  return text.replaceAll(SPECIAL, '\\$&');
}
