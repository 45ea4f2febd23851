import type { CompareWork } from './compare-work.ts';
import type { Lines } from './split-lines.ts';

/** Indents are not measured beyond this. */
const MAX_INDENT = 200;
/** Blank lines in a row are not counted beyond this. */
const MAX_BLANKS = 20;
const TAB_WIDTH = 8;
/** Indent of a blank line, and of the end of the file. */
const BLANK = -1;
const NOT_MEASURED = -2;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/** Weights, from a comparison of many diffs by git's authors. @see git: xdiff/xdiffi.c */
const WEIGHT = {
  startOfFile: 1,
  endOfFile: 21,
  blanks: -30,
  blanksBelow: 6,
  indented: -4,
  indentedAfterBlank: 10,
  outdented: 24,
  outdentedAfterBlank: 17,
  dedented: 23,
  dedentedAfterBlank: 17,
  indent: 60,
} as const;

/** How badly two places suit as the edges of a change; smaller is better. */
export interface EdgeScore {
  readonly indent: number;
  readonly penalty: number;
}

/** The indents of a file's lines, by which git decides where a change that can slide is shown. */
export class Indents {
  readonly #lines: Lines;
  readonly #work: CompareWork;
  /** Created for the first indent that is needed: most comparisons need none. */
  #known: Int16Array | undefined;

  constructor(lines: Lines, work: CompareWork) {
    this.#lines = lines;
    this.#work = work;
  }

  /** Returns the score of a change that begins and ends above these lines. */
  scoreOf(start: number, end: number): EdgeScore {
    const [first, last] = [this.#scoreAbove(start), this.#scoreAbove(end)];
    return { indent: first.indent + last.indent, penalty: first.penalty + last.penalty };
  }

  #scoreAbove(line: number): EdgeScore {
    const count = this.#lines.ids.length;
    const own = line < count ? this.#indentOf(line) : BLANK;
    const above = this.#nearest(line - 1, -1);
    const below = this.#nearest(line + 1, 1);
    const blanksBelow = own === BLANK ? 1 + below.blanks : 0;
    const blanks = above.blanks + blanksBelow;
    const indent = own === BLANK ? below.indent : own;
    let penalty = WEIGHT.blanks * blanks + WEIGHT.blanksBelow * blanksBelow;
    if (above.indent === BLANK && above.blanks === 0) penalty += WEIGHT.startOfFile;
    if (line >= count) penalty += WEIGHT.endOfFile;
    if (indent !== BLANK && above.indent !== BLANK)
      penalty += penaltyOf({ indent, above: above.indent, below: below.indent }, blanks > 0);
    return { indent, penalty };
  }

  /** Returns the indent of the next line that is not blank, and the number of blank ones before it. */
  #nearest(start: number, step: 1 | -1): { indent: number; blanks: number } {
    let blanks = 0;
    for (let line = start; line >= 0 && line < this.#lines.ids.length; line += step) {
      const indent = this.#indentOf(line);
      if (indent !== BLANK) return { indent, blanks };
      blanks++;
      if (blanks === MAX_BLANKS) return { indent: 0, blanks };
    }
    return { indent: BLANK, blanks };
  }

  #indentOf(line: number): number {
    this.#work.add(1);
    this.#known ??= new Int16Array(this.#lines.ids.length).fill(NOT_MEASURED);
    let indent = this.#known[line] ?? BLANK;
    if (indent === NOT_MEASURED) {
      indent = measure(this.#lines, line);
      this.#known[line] = indent;
    }
    return indent;
  }
}

/** Reports whether a score is at least as good as another one. */
export function isAsGood(score: EdgeScore, other: EdgeScore): boolean {
  return WEIGHT.indent * Math.sign(score.indent - other.indent) + score.penalty - other.penalty <= 0;
}

function penaltyOf(
  { indent, above, below }: { indent: number; above: number; below: number },
  hasBlanks: boolean,
): number {
  if (indent > above) return hasBlanks ? WEIGHT.indentedAfterBlank : WEIGHT.indented;
  if (indent === above) return 0;
  if (below > indent) return hasBlanks ? WEIGHT.outdentedAfterBlank : WEIGHT.outdented;
  return hasBlanks ? WEIGHT.dedentedAfterBlank : WEIGHT.dedented;
}

function measure({ bytes, starts }: Lines, line: number): number {
  const end = starts[line + 1] ?? bytes.length;
  let indent = 0;
  for (let at = starts[line] ?? end; at < end; at++) {
    const byte = bytes[at];
    if (byte === SPACE) indent++;
    else if (byte === TAB) indent += TAB_WIDTH - (indent % TAB_WIDTH);
    else if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) return indent;
    if (indent >= MAX_INDENT) return MAX_INDENT;
  }
  return BLANK;
}
