import { CharacterSet, PERL_CLASSES, POSIX_CLASSES } from './character-set.ts';
import { type Cursor, nextCharacter, parseEscape } from './parse-escape.ts';
import { type CharacterTest, type Flags, RegexpError } from './syntax-tree.ts';

const BAD_RANGE = 'invalid character class range';
const POSIX = /^\[:(\^?)([^\]:]*):\]/;
const UNICODE = /^\\([pP])(?:\{(\^?)([^}]*)\}|([^{]))/u;

/**
 * Parses a class in brackets at the cursor.
 *
 * @throws {RegexpError} `missing closing ]`, `invalid character class range`, or of an escape.
 */
export function parseClass(cursor: Cursor, flags: Flags): CharacterTest {
  const whole = cursor.text.slice(cursor.at++);
  const isNegated = cursor.text[cursor.at] === '^';
  if (isNegated) cursor.at++;
  const set = new CharacterSet(flags);
  for (let isFirst = true; isFirst || cursor.text[cursor.at] !== ']'; isFirst = false) {
    if (parseNamedClass(cursor, set)) continue;
    const start = cursor.at;
    const low = parseClassCharacter(cursor, whole);
    const isRange = cursor.text[cursor.at] === '-' && !/^-(?:\]|$)/.test(cursor.text.slice(cursor.at));
    if (isRange) cursor.at++;
    const high = isRange ? parseClassCharacter(cursor, whole) : low;
    if (high < low) throw new RegexpError(BAD_RANGE, cursor.text.slice(start, cursor.at));
    set.addRange(low, high);
  }
  cursor.at++;
  return set.test(isNegated);
}

/** Parses a class such as `\d` or `\pL` outside brackets; `undefined` for anything else. */
export function parsePerlClass(cursor: Cursor, flags: Flags): CharacterTest | undefined {
  const set = new CharacterSet(flags);
  return parseEscapedClass(cursor, set) ? set.test() : undefined;
}

function parseNamedClass(cursor: Cursor, set: CharacterSet): boolean {
  const [all, caret, name = ''] = POSIX.exec(cursor.text.slice(cursor.at)) ?? [];
  if (all === undefined) return parseEscapedClass(cursor, set);
  const inner = Object.hasOwn(POSIX_CLASSES, name) ? POSIX_CLASSES[name] : undefined;
  if (inner === undefined) throw new RegexpError(BAD_RANGE, all);
  set.addClass(inner, { isNegated: caret === '^' });
  cursor.at += all.length;
  return true;
}

function parseEscapedClass(cursor: Cursor, set: CharacterSet): boolean {
  const rest = cursor.text.slice(cursor.at);
  const letter = /^\\([dswDSW])/.exec(rest)?.[1];
  if (letter !== undefined) {
    const lower = letter.toLowerCase();
    set.addClass(PERL_CLASSES[lower] ?? '', { isNegated: letter !== lower });
    cursor.at += 2;
    return true;
  }
  if (!/^\\[pP]/.test(rest)) return false;
  const [all, sign, caret = '', long, short] = UNICODE.exec(rest) ?? [];
  if (all === undefined) throw new RegexpError(BAD_RANGE, rest);
  const isNegated = (sign === 'P') !== (caret === '^');
  if (!set.addUnicode(long ?? short ?? '', { isNegated })) throw new RegexpError(BAD_RANGE, all);
  cursor.at += all.length;
  return true;
}

function parseClassCharacter(cursor: Cursor, whole: string): number {
  if (cursor.at >= cursor.text.length) throw new RegexpError('missing closing ]', whole);
  if (cursor.text[cursor.at] === '\\') return parseEscape(cursor);
  return nextCharacter(cursor).codePointAt(0) ?? 0;
}
