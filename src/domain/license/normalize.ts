/** Ends of lines for expressions of JavaScript, besides the line feed. */
const LINE_END = /[\r\u2028\u2029]/;
/** First character of a word. */
const WORD = /\w/;
/**
 * Names for the license in a line of its own, which many projects leave out. It is tested only on
 * {@link MAX_TITLE_LENGTH} characters.
 */
const TITLE = /^(?:the )?[\w ."'-]{0,40}\blicen[cs]e\b[\w ."'()-]{0,30}$/i;
const MAX_TITLE_LENGTH = 81;
/** Parts of a line that names an owner, or has a place for one. */
const OWNER_MARK = /\d{4}|©|\(c\)|[<[{]/gi;
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
  const body = first.split(LINE_END).some(isTitle) ? start.slice(first.length) : start;
  return body
    .split('\n')
    .map(withoutOwners)
    .join('\n')
    .toLowerCase()
    .split(NO_WORD)
    .filter((word) => word !== '')
    .map((word) => (Object.hasOwn(EQUAL, word) ? (EQUAL[word] ?? word) : word));
}

function isTitle(line: string): boolean {
  const start = line.search(WORD);
  return start !== -1 && line.length - start <= MAX_TITLE_LENGTH && TITLE.test(line.slice(start));
}

/**
 * Removes the parts of a line that begin like a copyright notice and have an owner's mark behind
 * that. A carriage return separates parts, but the mark may be in a later one.
 */
function withoutOwners(line: string): string {
  let lastMark = -1;
  for (const { index } of line.matchAll(OWNER_MARK)) lastMark = index;
  if (lastMark === -1) return line;
  let start = 0;
  const kept: string[] = [];
  for (const part of line.split(LINE_END)) {
    const notice = endOfNotice(part);
    if (notice === undefined || start + notice > lastMark) kept.push(part);
    start += part.length + 1;
  }
  return kept.join('\r');
}

/** Returns where the first sign of a copyright at the start of a part ends. */
function endOfNotice(part: string): number | undefined {
  const at = part.search(WORD);
  const word = at === -1 ? part.length : at;
  const sign = part.indexOf('©');
  if (sign !== -1 && sign < word) return sign + 1;
  if (part.slice(Math.max(0, word - 1), word + 2).toLowerCase() === '(c)') return word + 2;
  return part.slice(word, word + 9).toLowerCase() === 'copyright' ? word + 9 : undefined;
}
