import type { CompareWork } from './compare-work.ts';

/** A file, and its changed lines: 1, with a 0 at the end. */
export interface ChangedFile {
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
  readonly #file: ChangedFile;

  constructor(file: ChangedFile) {
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

/**
 * Moves runs of changed lines of a file to where git reports them: as far down as possible, or to
 * the last place where the other file has changed, too.
 *
 * @throws {FallBackToGit} when there is too much work.
 */
export function slideChanges(file: ChangedFile, other: ChangedFile, work: CompareWork): void {
  const run = new Run(file);
  const twin = new Run(other);
  do {
    if (run.length > 0) settle(run, twin, work);
  } while (run.next() && twin.next());
}

function settle(run: Run, twin: Run, work: CompareWork): void {
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
  if (run.end === highestEnd || !canMeet) return;
  while (twin.length === 0) {
    run.slideUp();
    twin.previous();
  }
}
