import { FallBackToGit } from '#git/command/in-process';
import { validUtf8Bytes } from '../valid-utf8.ts';

/** An expression that takes linear time. */
interface Expression {
  test(line: string): boolean;
}

/**
 * A rule about lines; the first one that matches a line applies. The name of a function is the
 * group of the expression, or else the line without leading blanks.
 */
export type LineRule = { readonly name: Expression } | { readonly not: Expression };

const UNUSUAL = /[\0\u0080-\u00ff]/;
const OTHER_BYTES = /[\u0080-\u00ff]/g;
/** Characters that are letters of ASCII in another case, in UTF-8. */
const FOLDED = /\u00c4[\u00b0\u00b1]|\u00c5\u00bf|\u00e2\u0084\u00aa/;

/**
 * Returns the name of the function in a line; `undefined` if the line has none.
 *
 * @param line One character per byte, without its end.
 * @throws {FallBackToGit} for bytes whose meaning depends on the locale of git.
 */
export function nameInLine(rules: readonly LineRule[], line: string): string | undefined {
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
  const others = ['x', ' '].map((byte) => ({ line: line.replace(OTHER_BYTES, byte), byte }));
  // No character of an expression matches a NUL, and in UTF-8 none matches an invalid byte.
  if (line.includes('\0') || validUtf8Bytes(Buffer.from(line, 'latin1')) < line.length)
    return ![{ line }, ...others].some((each) =>
      rules.some((rule) => 'name' in rule && rule.name.test(each.line)),
    );
  return others.every((each) => firstName(rules, each.line) === name?.replace(OTHER_BYTES, each.byte));
}

function ignoresCase(rule: LineRule): boolean {
  const expression = 'not' in rule ? rule.not : rule.name;
  return expression instanceof RegExp && expression.ignoreCase;
}

function withoutBlanks(line: string): string {
  return line.replace(/^[ \t]+/, '');
}
