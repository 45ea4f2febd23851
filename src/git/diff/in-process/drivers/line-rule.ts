import { isUtf8 } from 'node:buffer';
import { FallBackToGit } from '#git/command/in-process';

/** An expression that takes linear time. */
interface Expression {
  test(line: string): boolean;
}

/**
 * A rule about lines; the first one that matches a line applies. The name of a function is the
 * group of the expression, or else the line without leading blanks.
 */
export type LineRule = { readonly name: Expression } | { readonly not: Expression };

/** Limit of a line: an expression takes a millisecond for a longer one. */
const MAX_LINE_BYTES = 16 * 1024;
const UNUSUAL = /[\0\u0080-\u00ff]/;
const OTHER_BYTES = /[\u0080-\u00ff]/g;
/** Characters that are letters of ASCII in another case, in UTF-8. */
const FOLDED = /\u00c4[\u00b0\u00b1]|\u00c5\u00bf|\u00e2\u0084\u00aa/;

/**
 * Returns the name of the function in a line; `undefined` if the line has none.
 *
 * @param line One character per byte, without its end.
 * @throws {FallBackToGit} for a very long line, and for bytes whose meaning depends on git's
 *   locale.
 */
export function nameInLine(rules: readonly LineRule[], line: string): string | undefined {
  if (line.length > MAX_LINE_BYTES) throw new FallBackToGit('a very long line may name a function');
  const name = firstName(rules, line);
  if (UNUSUAL.test(line) && !isCertain(rules, line, name))
    throw new FallBackToGit('an unusual line may name a function');
  return name;
}

function firstName(rules: readonly LineRule[], line: string): string | undefined {
  for (const rule of rules) {
    if ('not' in rule) {
      if (rule.not.test(line)) return undefined;
    } else if (rule.name instanceof RegExp) {
      const match = rule.name.exec(line);
      if (match !== null) return match[1] ?? withoutBlanks(line);
    } else if (rule.name.test(line)) return withoutBlanks(line);
  }
  return undefined;
}

/** Reports whether git finds the same name in each locale. */
function isCertain(rules: readonly LineRule[], line: string, name: string | undefined): boolean {
  if (FOLDED.test(line) && rules.some(ignoresCase)) return false;
  // Characters other than ASCII may be letters or spaces.
  const [letters, spaces] = [line.replace(OTHER_BYTES, 'x'), line.replace(OTHER_BYTES, ' ')];
  if (![line, letters, spaces].some((each) => hasName(rules, each))) return true;
  // No character of an expression matches a NUL, and in UTF-8 none matches an invalid byte.
  if (line.includes('\0') || !isUtf8(Buffer.from(line, 'latin1'))) return false;
  return (
    firstName(rules, letters) === name?.replace(OTHER_BYTES, 'x') &&
    firstName(rules, spaces) === name?.replace(OTHER_BYTES, ' ')
  );
}

/** Reports whether some rule finds a name, whatever the others say. */
function hasName(rules: readonly LineRule[], line: string): boolean {
  return rules.some((rule) => 'name' in rule && rule.name.test(line));
}

function ignoresCase(rule: LineRule): boolean {
  const expression = 'not' in rule ? rule.not : rule.name;
  return expression instanceof RegExp && expression.ignoreCase;
}

function withoutBlanks(line: string): string {
  return line.replace(/^[ \t]+/, '');
}
