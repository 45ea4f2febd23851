const LINE_FEED = /\n/g;
/** Ends of lines for expressions of JavaScript, in addition to the line feed. */
const OTHER_LINE_END = /[\r\u2028\u2029]/g;
/** First character of a word. */
const WORD = /\w/;
/**
 * Names for the license in a separate line, which many projects leave out. It is tested only on
 * {@link MAX_TITLE_LENGTH} characters.
 */
const TITLE = /^(?:the )?[\w ."'-]{0,40}\blicen[cs]e\b[\w ."'()-]{0,30}$/i;
const MAX_TITLE_LENGTH = 81;
/** Marks of an owner, or of a place for one: a year, `(c)`, and these signs. */
const OWNER_SIGNS = new Set(Buffer.from('©<[{', 'latin1'));
const YEAR_DIGITS = 4;
const [DIGIT_0, DIGIT_9, PARENTHESIS] = [0x30, 0x39, 0x29];
const COMPARED_WORD = /[a-z0-9]+/g;
/** Spellings that the SPDX guidelines treat as equal. */
const EQUAL: ReadonlyMap<string, string> = new Map([
  ['licence', 'license'],
  ['licences', 'licenses'],
  ['https', 'http'],
]);

/**
 * Yields the words by which license texts are compared: without case, punctuation, layout, lines
 * about owners, and a title. For each line it also yields an empty word: the time between two words
 * is short for every text, so a caller can give turns to others.
 *
 * @see https://spdx.github.io/spdx-spec/v2.3/license-matching-guidelines-and-templates/
 */
export function* wordsOf(text: string): Generator<string, void, undefined> {
  const start = text.trimStart();
  const [first = ''] = piecesOf(start, LINE_FEED);
  let hasTitle = false;
  for (const part of piecesOf(first, OTHER_LINE_END)) {
    hasTitle ||= isTitle(part);
    yield '';
  }
  for (const line of piecesOf(hasTitle ? start.slice(first.length) : start, LINE_FEED)) {
    const lastMark = lastOwnerMark(line);
    let at = 0;
    for (const part of piecesOf(line, OTHER_LINE_END)) {
      yield '';
      if (!isNotice(part, lastMark - at)) yield* wordsOfPart(part);
      at += part.length + 1;
    }
  }
}

/** Yields the parts of a text between separators of one character. */
function* piecesOf(text: string, separator: RegExp): Generator<string, void, undefined> {
  let start = 0;
  for (;;) {
    // Others may have used the expression since the last part.
    separator.lastIndex = start;
    if (!separator.test(text)) break;
    const end = separator.lastIndex;
    yield text.slice(start, end - 1);
    start = end;
  }
  yield text.slice(start);
}

function* wordsOfPart(part: string): Generator<string, void, undefined> {
  const lower = part.toLowerCase();
  let at = 0;
  for (;;) {
    COMPARED_WORD.lastIndex = at;
    const word = COMPARED_WORD.exec(lower)?.[0];
    if (word === undefined) return;
    at = COMPARED_WORD.lastIndex;
    yield EQUAL.get(word) ?? word;
  }
}

function isTitle(line: string): boolean {
  const start = line.search(WORD);
  return start !== -1 && line.length - start <= MAX_TITLE_LENGTH && TITLE.test(line.slice(start));
}

/** Returns the start of the last mark of an owner in a line; -1 if there is none. */
function lastOwnerMark(line: string): number {
  let digits = 0;
  for (let at = line.length - 1; at >= 0; at--) {
    const code = line.charCodeAt(at);
    digits = code >= DIGIT_0 && code <= DIGIT_9 ? digits + 1 : 0;
    if (digits === YEAR_DIGITS || OWNER_SIGNS.has(code)) return at;
    if (code === PARENTHESIS && line.slice(Math.max(0, at - 2), at).toLowerCase() === '(c') return at - 2;
  }
  return -1;
}

/**
 * Reports whether a part of a line begins like a copyright detect and has an owner's mark behind
 * that. A carriage return separates parts, but the mark may be in a later one.
 *
 * @param lastMark position of the last mark, relative to the part; negative if it is before it.
 */
function isNotice(part: string, lastMark: number): boolean {
  if (lastMark < 0) return false;
  const end = endOfNotice(part);
  return end !== undefined && end <= lastMark;
}

/** Returns the end of the first copyright sign at the start of a part. */
function endOfNotice(part: string): number | undefined {
  const at = part.search(WORD);
  const word = at === -1 ? part.length : at;
  const sign = part.indexOf('©');
  if (sign !== -1 && sign < word) return sign + 1;
  if (part.slice(Math.max(0, word - 1), word + 2).toLowerCase() === '(c)') return word + 2;
  return part.slice(word, word + 9).toLowerCase() === 'copyright' ? word + 9 : undefined;
}
