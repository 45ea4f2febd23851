/** Largest product of nested counts. @see Go: regexp/syntax, repeatIsValid */
const MAX_REPEAT = 1000;
const COUNT = /\{(\d+)(?:,(\d*))?\}/y;
const ESCAPE = /\\(?:[pP]\{[^}]*\}|[pP].|x\{[^}]*\}|x..|.)/suy;

/** An open group, or a part that a count may follow. */
interface Part {
  instructions: number;
  /** Largest product of counts in the part. */
  repeats: number;
}

/** Facts about an expression that is not yet compiled. */
export interface ExpressionSize {
  /** An estimate from above. */
  readonly instructions: number;
  /** The first count that is too large together with those inside it, which Go refuses. */
  readonly invalidCount: string | undefined;
  /** Offsets of the opening parentheses of groups. */
  readonly groups: readonly number[];
}

/**
 * Estimates the instructions of an expression without compiling it: repetitions are copied, so a
 * short expression can have a million.
 */
export function expressionSize(expression: string): ExpressionSize {
  const open: Part[] = [{ instructions: 2, repeats: 1 }];
  let last: Part = { instructions: 0, repeats: 1 };
  let invalidCount: string | undefined;
  const groups: number[] = [];
  const close = (): void => {
    const outer = open.at(-1);
    if (outer !== undefined) add(outer, last);
    last = { instructions: 0, repeats: 1 };
  };
  for (let at = 0; at < expression.length; ) {
    const character = expression[at] ?? '';
    const length = lengthAt(expression, at);
    const count = character === '{' ? countAt(expression, at) : undefined;
    if (count !== undefined) {
      last = { instructions: (last.instructions + 1) * Math.max(count, 1), repeats: last.repeats * count };
      if (last.repeats > MAX_REPEAT) invalidCount ??= expression.slice(at, at + length);
    } else if (character === '(') {
      close();
      groups.push(at);
      open.push({ instructions: 2, repeats: 1 });
    } else if (character === ')' && open.length > 1) {
      close();
      last = open.pop() ?? last;
    } else if ('*+?'.includes(character)) {
      last.instructions += 1;
    } else {
      close();
      last = { instructions: length === 1 ? 1 : Math.max(1, quotedLength(expression, at)), repeats: 1 };
    }
    at += length;
  }
  close();
  return { instructions: open.reduce((sum, part) => sum + part.instructions, 0), invalidCount, groups };
}

function add(outer: Part, { instructions, repeats }: Part): void {
  outer.instructions += instructions;
  outer.repeats = Math.max(outer.repeats, repeats);
}

/** Returns the length of the part of the syntax at an offset. */
function lengthAt(expression: string, at: number): number {
  const quoted = quotedLength(expression, at);
  if (quoted > 0) return quoted;
  switch (expression[at]) {
    case '\\':
      return matchLength(ESCAPE, expression, at);
    case '[':
      return classLength(expression, at);
    case '{':
      return countAt(expression, at) === undefined ? 1 : matchLength(COUNT, expression, at);
    default:
      return 1;
  }
}

function matchLength(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 1;
}

function countAt(expression: string, at: number): number | undefined {
  COUNT.lastIndex = at;
  const [, least, most] = COUNT.exec(expression) ?? [];
  return least === undefined ? undefined : Math.max(Number(least), Number(most ?? 0));
}

/** Returns the length of `\Q…\E`, which is literal text; 0 for anything else. */
function quotedLength(expression: string, at: number): number {
  if (!expression.startsWith('\\Q', at)) return 0;
  const end = expression.indexOf('\\E', at + 2);
  return (end === -1 ? expression.length : end + 2) - at;
}

/** A bracket at the start of a class is an ordinary character. */
function classLength(expression: string, start: number): number {
  let at = expression[start + 1] === '^' ? start + 2 : start + 1;
  if (expression[at] === ']') at++;
  while (at < expression.length && expression[at] !== ']') {
    if (expression.startsWith('[:', at)) {
      const end = expression.indexOf(':]', at + 2);
      at = end === -1 ? at + 1 : end + 2;
    } else at += expression[at] === '\\' ? 2 : 1;
  }
  return at + 1 - start;
}
