import { FallBackToGit } from '../command/in-process.ts';
import type { CompareWork } from './compare-work.ts';
import { type EdgeScore, type Indents, isAsGood } from './indents.ts';

/** A file, and its changed lines: 1, with a 0 at the end. */
export interface ComparedFile {
  readonly ids: Uint32Array;
  readonly changed: Uint8Array;
}

/**
 * A run of changed lines between two unchanged ones, possibly empty. The runs of two files that are
 * compared correspond to each other by their number.
 */
class Run {
  start = 0;
  end = 0;
  readonly #file: ComparedFile;

  constructor(file: ComparedFile) {
    this.#file = file;
    this.#absorbNext();
  }

  get length(): number {
    return this.end - this.start;
  }

  /** Moves to the next run, and reports whether there is one. */
  next(): boolean {
    if (this.end === this.#file.ids.length) return false;
    this.start = ++this.end;
    this.#absorbNext();
    return true;
  }

  /** Moves to the previous run, which must exist. */
  previous(): void {
    this.end = --this.start;
    this.#absorbPrevious();
  }

  /**
   * Moves the lines down by one, where that is the same change, and joins them with the next run if
   * they reach it. Reports whether it has.
   */
  slideDown(): boolean {
    const { ids, changed } = this.#file;
    if (this.end === ids.length || ids[this.start] !== ids[this.end]) return false;
    changed[this.start++] = 0;
    changed[this.end++] = 1;
    this.#absorbNext();
    return true;
  }

  /** Moves the lines up by one, like {@link slideDown}. */
  slideUp(): boolean {
    const { ids, changed } = this.#file;
    if (this.start === 0 || ids[this.start - 1] !== ids[this.end - 1]) return false;
    changed[--this.start] = 1;
    changed[--this.end] = 0;
    this.#absorbPrevious();
    return true;
  }

  #absorbNext(): void {
    while (this.#file.changed[this.end] === 1) this.end++;
  }

  #absorbPrevious(): void {
    while (this.#file.changed[this.start - 1] === 1) this.start--;
  }
}

/** Rules by which runs are moved, which depend on the algorithm. */
export interface SlideRules {
  readonly work: CompareWork;
  /** Indents of the file, for runs whose end the other file's changes do not determine. */
  readonly indents?: Indents;
  /** Compares runs again that have moved, as newer gits do; older ones do not. */
  readonly isComparedAgain?: boolean;
}

/** Lines by which a run is moved for the sake of indents, at most. */
const MAX_INDENT_SLIDE = 100;

/**
 * Moves runs of changed lines of a file to where git reports them: to the last place where the
 * other file has changed, too; otherwise to where indents suit, or as far down as possible.
 *
 * @throws {FallBackToGit} when there is too much work, or versions of git differ.
 */
export function slideChanges(file: ComparedFile, other: ComparedFile, rules: SlideRules): void {
  const run = new Run(file);
  const twin = new Run(other);
  do {
    if (run.length === 0) continue;
    const { start, end } = run;
    settle(run, twin, rules);
    if (rules.isComparedAgain === true && (run.start !== start || run.end !== end))
      requireNoCommonLine({ file, run }, { file: other, run: twin });
  } while (run.next() && twin.next());
}

function settle(run: Run, twin: Run, { work, indents }: SlideRules): void {
  let length: number;
  let highestEnd: number;
  let canMeet: boolean;
  do {
    length = run.length;
    while (run.slideUp()) {
      twin.previous();
      work.add(1);
    }
    highestEnd = run.end;
    canMeet = twin.length > 0;
    while (run.slideDown()) {
      twin.next();
      canMeet ||= twin.length > 0;
      work.add(1);
    }
    // It is longer if it has reached other changes.
  } while (run.length !== length);
  if (run.end === highestEnd) return;
  if (canMeet) {
    while (twin.length === 0) {
      run.slideUp();
      twin.previous();
    }
  } else if (indents !== undefined) {
    const end = bestEnd(run, highestEnd, indents);
    while (run.end > end) {
      run.slideUp();
      twin.previous();
    }
  }
}

/** Returns the last of the ends with the best score. */
function bestEnd({ end: lowest, length }: Run, highestEnd: number, indents: Indents): number {
  let best: { readonly end: number; readonly score: EdgeScore } | undefined;
  for (let end = Math.max(highestEnd, lowest - length - 1, lowest - MAX_INDENT_SLIDE); end <= lowest; end++) {
    const score = indents.scoreOf(end - length, end);
    if (best === undefined || isAsGood(score, best.score)) best = { end, score };
  }
  return best?.end ?? lowest;
}

interface RunOfFile {
  readonly file: ComparedFile;
  readonly run: Run;
}

/** @throws {FallBackToGit} when two runs have a line in common, which only newer gits look for. */
function requireNoCommonLine(one: RunOfFile, other: RunOfFile): void {
  if (other.run.length === 0) return;
  const ids = new Set(other.file.ids.subarray(other.run.start, other.run.end));
  for (const id of one.file.ids.subarray(one.run.start, one.run.end))
    if (ids.has(id)) throw new FallBackToGit('versions of git compare a file differently');
}
