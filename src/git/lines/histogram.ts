import { FallBackToGit } from '../command/in-process.ts';
import type { CompareWork } from './compare-work.ts';

/** Lines that occur more often are not used to align files. */
const MAX_OCCURRENCES = 64;
const NONE = -1;

/** Two files as ids of lines, with the number of different ids. */
export interface FilePair {
  readonly before: Uint32Array;
  readonly after: Uint32Array;
  readonly idCount: number;
}

/** The lines of two files that have no equal line in the other one: 1. Each ends with a 0. */
export interface ChangedLines {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Lines of both files: from a first one up to an end. */
interface Region {
  readonly from: number;
  readonly to: number;
  readonly afterFrom: number;
  readonly afterTo: number;
}

/**
 * Compares files by git's histogram algorithm: the longest common part with the rarest lines splits
 * the files, and what is before and after it is compared in the same way.
 *
 * @throws {FallBackToGit} when all common lines are frequent, so that git uses another algorithm;
 *   when there is too much work.
 */
export function histogramChanges(files: FilePair, work: CompareWork): ChangedLines {
  const changed = {
    before: new Uint8Array(files.before.length + 1),
    after: new Uint8Array(files.after.length + 1),
  };
  const histogram = new Histogram(files, work);
  const pending: Region[] = [{ from: 0, to: files.before.length, afterFrom: 0, afterTo: files.after.length }];
  for (let region = pending.pop(); region !== undefined; region = pending.pop()) {
    const common = histogram.commonPart(region);
    if (common === undefined) {
      changed.before.fill(1, region.from, region.to);
      changed.after.fill(1, region.afterFrom, region.afterTo);
      continue;
    }
    pending.push(
      { ...region, to: common.from, afterTo: common.afterFrom },
      { ...region, from: common.to, afterFrom: common.afterTo },
    );
  }
  return changed;
}

/** How often, and where, lines occur in a region. */
class Histogram {
  readonly #before: Uint32Array;
  readonly #after: Uint32Array;
  readonly #work: CompareWork;
  /** By id. */
  readonly #counts: Uint32Array;
  readonly #firsts: Int32Array;
  /** By line: the next one with the same id. */
  readonly #next: Int32Array;

  constructor({ before, after, idCount }: FilePair, work: CompareWork) {
    this.#before = before;
    this.#after = after;
    this.#work = work;
    this.#counts = new Uint32Array(idCount);
    this.#firsts = new Int32Array(idCount).fill(NONE);
    this.#next = new Int32Array(before.length);
  }

  /** Returns the part that splits a region; `undefined` if the files have no line in common. */
  commonPart(region: Region): Region | undefined {
    const { from, to, afterFrom, afterTo } = region;
    if (from === to || afterFrom === afterTo) return undefined;
    this.#work.add(to - from + afterTo - afterFrom);
    for (let line = to - 1; line >= from; line--) {
      const id = this.#before[line] ?? 0;
      this.#next[line] = this.#firsts[id] ?? NONE;
      this.#firsts[id] = line;
      this.#counts[id] = (this.#counts[id] ?? 0) + 1;
    }
    try {
      return this.#search(region);
    } finally {
      for (let line = from; line < to; line++) {
        const id = this.#before[line] ?? 0;
        this.#firsts[id] = NONE;
        this.#counts[id] = 0;
      }
    }
  }

  #search(region: Region): Region | undefined {
    let best: Region | undefined;
    /** Occurrences of the rarest line of the best part. */
    let rarest = MAX_OCCURRENCES + 1;
    let hasCommon = false;
    for (let line = region.afterFrom; line < region.afterTo; ) {
      const id = this.#after[line] ?? 0;
      const count = this.#counts[id] ?? 0;
      let end = line + 1;
      hasCommon ||= count > 0;
      let place = count <= rarest ? (this.#firsts[id] ?? NONE) : NONE;
      while (place !== NONE) {
        const part = this.#extend(region, place, line);
        const occurrences = this.#rarestIn(part);
        const isLonger = part.to - part.from > (best === undefined ? 1 : best.to - best.from);
        if (isLonger || occurrences < rarest) {
          best = part;
          rarest = occurrences;
        }
        end = Math.max(end, part.afterTo);
        do place = this.#next[place] ?? NONE;
        while (place !== NONE && place < part.to);
      }
      line = end;
    }
    if (hasCommon && rarest > MAX_OCCURRENCES) throw new FallBackToGit('the lines of a file repeat');
    return best;
  }

  /** Returns the longest common part around two equal lines. */
  #extend({ from, to, afterFrom, afterTo }: Region, line: number, afterLine: number): Region {
    const [before, after] = [this.#before, this.#after];
    let head = 0;
    const maxHead = Math.min(line - from, afterLine - afterFrom);
    while (head < maxHead && before[line - head - 1] === after[afterLine - head - 1]) head++;
    let length = 1;
    const maxLength = Math.min(to - line, afterTo - afterLine);
    while (length < maxLength && before[line + length] === after[afterLine + length]) length++;
    this.#work.add(head + length);
    return {
      from: line - head,
      to: line + length,
      afterFrom: afterLine - head,
      afterTo: afterLine + length,
    };
  }

  /** Returns the occurrences of the rarest line of a part. */
  #rarestIn({ from, to }: Region): number {
    let rarest = Number.POSITIVE_INFINITY;
    for (let line = from; line < to && rarest > 1; line++)
      rarest = Math.min(rarest, this.#counts[this.#before[line] ?? 0] ?? 0);
    return rarest;
  }
}
