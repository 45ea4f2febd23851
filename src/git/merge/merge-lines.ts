import { FallBackToGit } from '../command/in-process.ts';
import { CompareWork } from '../lines/compare-work.ts';
import { type LineChange, lineChangesOfMerge } from '../lines/line-changes.ts';
import { bytesOfLines, LineSplitter, type Lines } from '../lines/split-lines.ts';

/** Versions of a file. */
export interface ThreeFiles {
  readonly base: Buffer;
  readonly ours: Buffer;
  readonly theirs: Buffer;
}

/** Size of files that are merged in process: comparing larger ones may take milliseconds. */
export const MAX_MERGED_BYTES = 128 * 1024;
/** Bytes in which git searches for a NUL, which makes a file a binary one. */
const BINARY_HEAD_BYTES = 8000;

/**
 * Merges a file that both sides have changed, line by line, with the result of `git merge-tree`
 * without attributes and settings.
 *
 * @throws {FallBackToGit} for conflicts, binary files, and files that are large or take long to
 *   compare.
 */
export function mergeLines({ base, ours, theirs }: ThreeFiles): Buffer {
  for (const file of [base, ours, theirs]) {
    if (file.length > MAX_MERGED_BYTES) throw new FallBackToGit('a file to merge is large');
    if (file.subarray(0, BINARY_HEAD_BYTES).includes(0)) throw new FallBackToGit('a file to merge is binary');
  }
  const splitter = new LineSplitter();
  const old = splitter.split(base);
  const [left, right] = [splitter.split(ours, old), splitter.split(theirs, old)];
  const work = new CompareWork();
  const [mine, yours] = [left, right].map((side) =>
    lineChangesOfMerge({ before: old, after: side, idCount: splitter.count }, work),
  );
  return new LineMerge(left, right).merge(mine ?? [], yours ?? []);
}

/** Builds the merged file from our lines, with their changes. */
class LineMerge {
  readonly #ours: Lines;
  readonly #theirs: Lines;
  readonly #pieces: Buffer[] = [];
  /** Our lines up to here are in the pieces. */
  #done = 0;

  constructor(ours: Lines, theirs: Lines) {
    this.#ours = ours;
    this.#theirs = theirs;
  }

  merge(ours: readonly LineChange[], theirs: readonly LineChange[]): Buffer {
    let mine = 0;
    let yours = 0;
    /** Lines that our changes so far have added. */
    let shift = 0;
    for (let right = theirs[yours]; right !== undefined; right = theirs[yours]) {
      const left = ours[mine];
      if (left !== undefined && endOf(left) < right.at) {
        shift += left.added - left.removed;
        mine++;
      } else if (left === undefined || endOf(right) < left.at) {
        this.#replace(right, right.at + shift);
        yours++;
      } else {
        const touching = touchingFrom(ours, mine, theirs, yours);
        this.#requireEqual(touching);
        for (const { added, removed } of touching.ours) shift += added - removed;
        mine += touching.ours.length;
        yours += touching.theirs.length;
      }
    }
    this.#pieces.push(bytesOfLines(this.#ours, this.#done, this.#ours.ids.length));
    return Buffer.concat(this.#pieces);
  }

  /** Replaces our lines from a position by a change of theirs. */
  #replace({ removed, newAt, added }: LineChange, at: number): void {
    this.#pieces.push(
      bytesOfLines(this.#ours, this.#done, at),
      bytesOfLines(this.#theirs, newAt, newAt + added),
    );
    this.#done = at + removed;
  }
  /** Reports conflicts: changes of both sides to the same lines, unless they have the same result. */
  #requireEqual(changes: TouchingChanges): void {
    const { from, to } = changes;
    const [mine, yours] = [
      bytesAfter(this.#ours, changes.ours, { from, to }),
      bytesAfter(this.#theirs, changes.theirs, { from, to }),
    ];
    const isDeletion = mine.length === 0 && changes.ours.length + changes.theirs.length > 2;
    if (isDeletion || !mine.equals(yours)) throw new FallBackToGit('a file has conflicts');
  }
}

/** Changes of both sides that overlap or touch, and the lines of the base that they cover. */
interface TouchingChanges {
  readonly ours: readonly LineChange[];
  readonly theirs: readonly LineChange[];
  readonly from: number;
  readonly to: number;
}

function sideFrom(changes: readonly LineChange[], next: number) {
  const touching: LineChange[] = [];
  return { changes, next, touching };
}

/** Returns a change of each side, which touch each other, with all later ones that touch these. */
function touchingFrom(
  ours: readonly LineChange[],
  mine: number,
  theirs: readonly LineChange[],
  yours: number,
): TouchingChanges {
  const from = Math.min(ours[mine]?.at ?? 0, theirs[yours]?.at ?? 0);
  const left = sideFrom(ours, mine);
  const right = sideFrom(theirs, yours);
  let to = from;
  for (let hasGrown = true; hasGrown; ) {
    hasGrown = false;
    for (const side of [left, right]) {
      const change = side.changes[side.next];
      if (change === undefined || (change.at > to && side.touching.length > 0)) continue;
      side.touching.push(change);
      side.next++;
      to = Math.max(to, endOf(change));
      hasGrown = true;
    }
  }
  return { ours: left.touching, theirs: right.touching, from, to };
}

/** Returns the lines that result from applying changes to a range of the base. */
function bytesAfter(
  file: Lines,
  changes: readonly LineChange[],
  { from, to }: { readonly from: number; readonly to: number },
): Buffer {
  const [first, last] = [changes[0], changes.at(-1)];
  if (first === undefined || last === undefined) throw new Error('no change touches the other side');
  const start = first.newAt - (first.at - from);
  return bytesOfLines(file, start, last.newAt + last.added + to - endOf(last));
}

function endOf({ at, removed }: LineChange): number {
  return at + removed;
}
