import { RE2JS } from 're2js';
import { GitalyError } from '#base/gitaly-error';
import { type ExpressionSize, expressionSize } from './expression-size.ts';

/** Limit of an expression. @see Gitaly: search_files.go, 1,000 bytes for a filter */
const MAX_EXPRESSION_BYTES = 1000;
/** Limit of a compiled expression: it takes some 50 ms to compile. Go's own is 300 times as large. */
const MAX_INSTRUCTIONS = 10_000;
/** Limit of instructions times characters of one text: at worst some 100 ms. */
const MAX_STEPS = 2_000_000;
/** Problems for which Go repeats the whole expression. */
const OF_THE_WHOLE: ReadonlySet<string> = new Set([
  'expression nests too deeply',
  'expression too large',
  'missing closing )',
  'unexpected )',
]);
const OTHER_TEXTS: Readonly<Record<string, string>> = {
  'trailing backslash at end of expression': 'trailing backslash at end of expression: ``',
  'invalid named capture: `(?P<`': 'invalid or unsupported Perl syntax: `(?P`',
  'invalid named capture: `(?<`': 'invalid or unsupported Perl syntax: `(?<`',
};
/** Start of a group with a name. */
const NAME = /^\(\?P?<\w+>/;
const PREFIX = 'error parsing regexp: ';

/** Problem of an expression, with Go's text. */
export class RegexpError extends Error {
  constructor(problem: string) {
    super(`${PREFIX}${problem}`);
    this.name = 'RegexpError';
  }
}

/**
 * A regular expression with the syntax, the errors and the linear time of Go's `regexp`: an
 * expression of a client cannot take exponential time, as it could in JavaScript.
 */
export class GoRegexp {
  readonly #compiled: RE2JS;
  readonly #size: number;

  /** Compiles an expression. @throws {RegexpError} */
  constructor(expression: string) {
    if (Buffer.byteLength(expression) > MAX_EXPRESSION_BYTES) throw tooLarge(expression);
    const shape = expressionSize(expression);
    // An invalid count is found before the expression is compiled.
    if (shape.instructions > MAX_INSTRUCTIONS && shape.invalidCount === undefined) throw tooLarge(expression);
    this.#compiled = compile(expression, shape);
    this.#size = this.#compiled.programSize();
    if (this.#size > MAX_INSTRUCTIONS) throw tooLarge(expression);
  }

  /**
   * Reports whether the expression matches anywhere in a text.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED for an expression and a text that are both very long.
   */
  test(text: string): boolean {
    this.#limit(text);
    return this.#compiled.test(text);
  }

  /**
   * Returns the text of the first group in the last match; `undefined` without a match.
   *
   * @throws {GitalyError} as {@link test}.
   */
  lastGroup(text: string): string | undefined {
    this.#limit(text);
    const matcher = this.#compiled.matcher(text);
    let last: string | undefined;
    while (matcher.find()) last = matcher.group(1) ?? undefined;
    return last;
  }

  #limit(text: string): void {
    if (this.#size * text.length > MAX_STEPS)
      throw new GitalyError(
        'RESOURCE_EXHAUSTED',
        'the regular expression is too large for the length of a text; use a shorter one',
      );
  }
}

function tooLarge(expression: string): RegexpError {
  return new RegexpError(`expression too large: \`${expression}\``);
}

function compile(expression: string, shape: ExpressionSize): RE2JS {
  try {
    return RE2JS.compile(expression);
  } catch (error) {
    const problem = problemOf(error);
    if (!problem.startsWith('duplicate capture group name')) throw asInGo(problem, expression, shape);
  }
  try {
    return RE2JS.compile(withoutNames(expression, shape));
  } catch (error) {
    throw asInGo(problemOf(error), expression, shape);
  }
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(PREFIX, '') : String(error);
}

/** Removes the names of groups: Go allows a name to occur twice, the package does not. */
function withoutNames(expression: string, { groups }: ExpressionSize): string {
  const parts = groups.map((at, index) => expression.slice(at, groups[index + 1]).replace(NAME, '(?:'));
  return expression.slice(0, groups[0]) + parts.join('');
}

/** Returns the error with Go's text, also for the problems that the package words differently. */
function asInGo(problem: string, expression: string, { invalidCount }: ExpressionSize): RegexpError {
  const [kind = ''] = problem.split(':', 1);
  if (kind === 'expression too large' && invalidCount !== undefined)
    return new RegexpError(`invalid repeat count: \`${invalidCount}\``);
  if (OF_THE_WHOLE.has(kind)) return new RegexpError(`${kind}: \`${expression}\``);
  return new RegexpError(OTHER_TEXTS[problem] ?? problem);
}
