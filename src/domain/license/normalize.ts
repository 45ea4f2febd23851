/** Lines with the names of owners, which differ from project to project. */
const OWNERS = /^\W*(?:copyright|©|\(c\))(?=[^\n]*(?:\d{4}|©|\(c\)|[<[{])).*$/gim;
/** Names for the license in a line of its own, which many projects leave out. */
const TITLE = /^\W*(?:the )?[\w ."'-]{0,40}\blicen[cs]e\b[\w ."'()-]{0,30}$/im;
const NO_WORD = /[^a-z0-9]+/;
/** Spellings that the SPDX guidelines treat as equal. */
const EQUAL: Readonly<Record<string, string>> = { licence: 'license', licences: 'licenses', https: 'http' };

/**
 * Returns the words by which license texts are compared: without case, punctuation, layout, lines
 * about owners, and a title.
 *
 * @see https://spdx.github.io/spdx-spec/v2.3/license-matching-guidelines-and-templates/
 */
export function wordsOf(text: string): string[] {
  const start = text.trimStart();
  const [first = ''] = start.split('\n', 1);
  const body = TITLE.test(first) ? start.slice(first.length) : start;
  return body
    .replace(OWNERS, ' ')
    .toLowerCase()
    .split(NO_WORD)
    .filter((word) => word !== '')
    .map((word) => (Object.hasOwn(EQUAL, word) ? (EQUAL[word] ?? word) : word));
}
