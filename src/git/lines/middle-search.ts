import type { CompareWork } from './compare-work.ts';

/** Lines of two files that are compared. */
export interface Box {
  readonly from: number;
  readonly to: number;
  readonly afterFrom: number;
  readonly afterTo: number;
  /** True if the search is not cut short. */
  readonly isMinimal: boolean;
}

/** A point of the path, which splits a box in two. */
export interface Middle {
  readonly at: number;
  readonly afterAt: number;
  /** True if the search before the point is not cut short. */
  readonly isLowMinimal: boolean;
  readonly isHighMinimal: boolean;
}

/**
 * Limit of edits before a search is cut short. git has a larger one for files with 65,536 lines
 * together, and only there it also ends a search at a good path. Two files of `MAX_LINES` have
 * fewer.
 */
const MAX_EDITS = 256;
/** A value that no line number reaches. */
const BEYOND = 0x3fff_ffff;

/** The furthest lines reached on the diagonals from one end of the box. */
class Front {
  readonly #reached: Int32Array;
  readonly #offset: number;
  readonly #outside: number;
  middle = 0;
  min = 0;
  max = 0;

  constructor(reached: Int32Array, offset: number, outside: number) {
    this.#reached = reached;
    this.#offset = offset;
    this.#outside = outside;
  }

  begin(diagonal: number, line: number): void {
    this.middle = diagonal;
    this.min = diagonal;
    this.max = diagonal;
    this.set(diagonal, line);
  }

  at(diagonal: number): number {
    return this.#reached[this.#offset + diagonal] ?? 0;
  }

  set(diagonal: number, line: number): void {
    this.#reached[this.#offset + diagonal] = line;
  }

  /** Adds the diagonals of one more edit, as far as they are in the box. */
  widen(lowest: number, highest: number): void {
    if (this.min > lowest) this.set(--this.min - 1, this.#outside);
    else ++this.min;
    if (this.max < highest) this.set(++this.max + 1, this.#outside);
    else --this.max;
  }

  includes(diagonal: number): boolean {
    return this.min <= diagonal && diagonal <= this.max;
  }
}

/**
 * Finds the middle of the shortest path of edits in a box, from both ends at once. Where the search
 * takes long, it returns a good point instead, by git's rules.
 */
export class MiddleSearch {
  readonly #before: Uint32Array;
  readonly #after: Uint32Array;
  readonly #work: CompareWork;
  readonly #forward: Front;
  readonly #backward: Front;
  #box: Box = { from: 0, to: 0, afterFrom: 0, afterTo: 0, isMinimal: false };

  constructor(before: Uint32Array, after: Uint32Array, work: CompareWork) {
    this.#before = before;
    this.#after = after;
    this.#work = work;
    const diagonals = before.length + after.length + 3;
    this.#forward = new Front(new Int32Array(diagonals), after.length + 1, -1);
    this.#backward = new Front(new Int32Array(diagonals), after.length + 1, BEYOND);
  }

  /**
   * Splits a box whose first lines differ, and whose last ones.
   *
   * @throws {FallBackToGit} when there is too much work.
   */
  split(box: Box): Middle {
    this.#box = box;
    const { from, to, afterFrom, afterTo } = box;
    const [lowest, highest] = [from - afterTo, to - afterFrom];
    this.#forward.begin(from - afterFrom, from);
    this.#backward.begin(to - afterTo, to);
    const isOdd = ((this.#forward.middle - this.#backward.middle) & 1) !== 0;
    for (let edits = 1; ; edits++) {
      this.#forward.widen(lowest, highest);
      const met = this.#extendForward(isOdd);
      if (met !== undefined) return met;
      this.#backward.widen(lowest, highest);
      const metBack = this.#extendBackward(!isOdd);
      if (metBack !== undefined) return metBack;
      if (edits >= MAX_EDITS && !box.isMinimal) return this.#furthestPoint();
    }
  }

  #extendForward(canMeet: boolean): Middle | undefined {
    const [before, after, forward, backward] = [this.#before, this.#after, this.#forward, this.#backward];
    const { to, afterTo } = this.#box;
    for (let diagonal = forward.max; diagonal >= forward.min; diagonal -= 2) {
      const [left, right] = [forward.at(diagonal - 1), forward.at(diagonal + 1)];
      const start = left >= right ? left + 1 : right;
      let at = start;
      while (at < to && at - diagonal < afterTo && before[at] === after[at - diagonal]) at++;
      this.#work.add(at - start + 1);
      forward.set(diagonal, at);
      if (canMeet && backward.includes(diagonal) && backward.at(diagonal) <= at) return met(at, diagonal);
    }
    return undefined;
  }

  #extendBackward(canMeet: boolean): Middle | undefined {
    const [before, after, forward, backward] = [this.#before, this.#after, this.#forward, this.#backward];
    const { from, afterFrom } = this.#box;
    for (let diagonal = backward.max; diagonal >= backward.min; diagonal -= 2) {
      const [left, right] = [backward.at(diagonal - 1), backward.at(diagonal + 1)];
      const start = left < right ? left : right - 1;
      let at = start;
      while (at > from && at - diagonal > afterFrom && before[at - 1] === after[at - diagonal - 1]) at--;
      this.#work.add(start - at + 1);
      backward.set(diagonal, at);
      if (canMeet && forward.includes(diagonal) && at <= forward.at(diagonal)) return met(at, diagonal);
    }
    return undefined;
  }

  /** Returns the furthest point from an end that was reached. */
  #furthestPoint(): Middle {
    const { from, to, afterFrom, afterTo } = this.#box;
    const [forward, backward] = [this.#forward, this.#backward];
    let ahead = { sum: -1, at: -1 };
    for (let diagonal = forward.max; diagonal >= forward.min; diagonal -= 2) {
      const at = Math.min(forward.at(diagonal), to, afterTo + diagonal);
      const sum = at + at - diagonal;
      if (ahead.sum < sum) ahead = { sum, at };
    }
    let behind = { sum: BEYOND * 2, at: BEYOND };
    for (let diagonal = backward.max; diagonal >= backward.min; diagonal -= 2) {
      const at = Math.max(from, backward.at(diagonal), afterFrom + diagonal);
      const sum = at + at - diagonal;
      if (sum < behind.sum) behind = { sum, at };
    }
    return to + afterTo - behind.sum < ahead.sum - (from + afterFrom)
      ? { at: ahead.at, afterAt: ahead.sum - ahead.at, isLowMinimal: true, isHighMinimal: false }
      : { at: behind.at, afterAt: behind.sum - behind.at, isLowMinimal: false, isHighMinimal: true };
  }
}

function met(at: number, diagonal: number): Middle {
  return { at, afterAt: at - diagonal, isLowMinimal: true, isHighMinimal: true };
}
