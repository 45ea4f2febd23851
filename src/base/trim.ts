/** Characters that git treats as space. @see git: ctype.c, GIT_SPACE */
export const GIT_SPACE = ' \t\n\r';

/** Returns a text without any of the characters at both ends, in linear time. */
export function trimmed(text: string, characters: string): string {
  return trimmedEnd(trimmedStart(text, characters), characters);
}

/** Returns a text without any of the characters at its start. */
export function trimmedStart(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text[start] ?? '')) start++;
  return text.slice(start);
}

/**
 * Returns a text without any of the characters at its end. An expression such as `/ +$/` takes a
 * quadratic time for a run of spaces that is not at the end.
 */
export function trimmedEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1] ?? '')) end--;
  return text.slice(0, end);
}
