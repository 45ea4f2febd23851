import type { CompareWork } from './compare-work.ts';
import type { ChangedLines, FilePair } from './histogram.ts';
import { type Box, MiddleSearch } from './middle-search.ts';

/** Lines before and after a frequent line that are looked at. */
const WINDOW = 100;
/** Frequent lines are dropped where few of the surrounding lines lack an equal line. */
const FREQUENT_SHARE = 4;

/** Pairs of lines that are compared one by one, which shows that most small changes need no search. */
const MAX_PAIRS = 64;

/** Kinds of lines; they determine whether a line takes part in the search. */
const UNIQUE = 0;
const COMMON = 1;
const FREQUENT = 2;

/**
 * Compares files by git's default algorithm, that of Myers, with its shortcuts: lines without an
 * equal one, and frequent lines among these, are left out, and a long search is cut short.
 *
 * @throws {FallBackToGit} when there is too much work.
 */
export function myersChanges(files: FilePair, work: CompareWork): ChangedLines {
  const { before, after } = files;
  const changed = {
    before: new Uint8Array(before.length + 1),
    after: new Uint8Array(after.length + 1),
  };
  const part = changedPart(before, after);
  const { start, end, afterEnd } = part;
  if (hasNoCommonLine(files, part)) {
    changed.before.fill(1, start, end);
    changed.after.fill(1, start, afterEnd);
    return changed;
  }
  work.add(end + afterEnd - 2 * start);
  const old = keptLines(
    { ids: before, start, end, counts: countsOf(after, files.idCount) },
    changed.before,
    work,
  );
  const now = keptLines(
    { ids: after, start, end: afterEnd, counts: countsOf(before, files.idCount) },
    changed.after,
    work,
  );
  const search = new MiddleSearch(old.ids, now.ids, work);
  const pending: Box[] = [
    { from: 0, to: old.ids.length, afterFrom: 0, afterTo: now.ids.length, isMinimal: false },
  ];
  for (let box = pending.pop(); box !== undefined; box = pending.pop()) {
    const { from, to, afterFrom, afterTo } = shrunk(box, old.ids, now.ids);
    if (from === to || afterFrom === afterTo) {
      for (let line = from; line < to; line++) changed.before[old.lines[line] ?? 0] = 1;
      for (let line = afterFrom; line < afterTo; line++) changed.after[now.lines[line] ?? 0] = 1;
      continue;
    }
    const middle = search.split({ from, to, afterFrom, afterTo, isMinimal: box.isMinimal });
    pending.push(
      { from, to: middle.at, afterFrom, afterTo: middle.afterAt, isMinimal: middle.isLowMinimal },
      { from: middle.at, to, afterFrom: middle.afterAt, afterTo, isMinimal: middle.isHighMinimal },
    );
  }
  return changed;
}

interface ChangedPart {
  readonly start: number;
  readonly end: number;
  readonly afterEnd: number;
}

/** Returns the part between the equal lines at the start and at the end. */
function changedPart(before: Uint32Array, after: Uint32Array): ChangedPart {
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) start++;
  let end = before.length;
  let afterEnd = after.length;
  while (end > start && afterEnd > start && before[end - 1] === after[afterEnd - 1]) {
    end--;
    afterEnd--;
  }
  return { start, end, afterEnd };
}

/** Reports whether the changed parts have no line in common, if a short check can tell. */
function hasNoCommonLine({ before, after }: FilePair, { start, end, afterEnd }: ChangedPart): boolean {
  if ((end - start) * (afterEnd - start) > MAX_PAIRS) return false;
  for (let line = start; line < end; line++)
    for (let other = start; other < afterEnd; other++) if (before[line] === after[other]) return false;
  return true;
}

/** Returns a box without the equal lines at its start and end. */
function shrunk(box: Box, before: Uint32Array, after: Uint32Array): Omit<Box, 'isMinimal'> {
  let { from, to, afterFrom, afterTo } = box;
  while (from < to && afterFrom < afterTo && before[from] === after[afterFrom]) {
    from++;
    afterFrom++;
  }
  while (from < to && afterFrom < afterTo && before[to - 1] === after[afterTo - 1]) {
    to--;
    afterTo--;
  }
  return { from, to, afterFrom, afterTo };
}

function countsOf(ids: Uint32Array, idCount: number): Uint32Array {
  const counts = new Uint32Array(idCount);
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
  return counts;
}

interface Part {
  readonly ids: Uint32Array;
  readonly start: number;
  readonly end: number;
  /** How often each id occurs in the other file. */
  readonly counts: Uint32Array;
}

/** Lines that take part in the search: their ids, and their numbers in the file. */
interface KeptLines {
  readonly ids: Uint32Array;
  readonly lines: Uint32Array;
}

/** Selects the lines of a part that take part in the search, and marks the others as changed. */
function keptLines({ ids, start, end, counts }: Part, changed: Uint8Array, work: CompareWork): KeptLines {
  const frequent = roughSquareRoot(ids.length);
  const kinds = new Uint8Array(end - start);
  for (let line = start; line < end; line++) {
    const count = counts[ids[line] ?? 0] ?? 0;
    kinds[line - start] = count === 0 ? UNIQUE : count < frequent ? COMMON : FREQUENT;
  }
  const kept = new Uint32Array(end - start);
  const lines = new Uint32Array(end - start);
  let count = 0;
  for (let line = start; line < end; line++) {
    const kind = kinds[line - start];
    if (kind === COMMON || (kind === FREQUENT && !isAmongUnique(kinds, line - start, work))) {
      kept[count] = ids[line] ?? 0;
      lines[count++] = line;
    } else changed[line] = 1;
  }
  return { ids: kept.subarray(0, count), lines: lines.subarray(0, count) };
}

/** Reports whether a frequent line stands between enough lines that have no equal one. */
function isAmongUnique(kinds: Uint8Array, at: number, work: CompareWork): boolean {
  const above = countAround(kinds, at, -1, work);
  if (above.unique === 0) return false;
  const below = countAround(kinds, at, 1, work);
  if (below.unique === 0) return false;
  const frequent = above.frequent + below.frequent;
  return frequent * FREQUENT_SHARE < frequent + above.unique + below.unique;
}

/** Counts the lines from one on, in one direction, up to one that is neither unique nor frequent. */
function countAround(
  kinds: Uint8Array,
  at: number,
  step: 1 | -1,
  work: CompareWork,
): { unique: number; frequent: number } {
  let unique = 0;
  let frequent = 1; // the line itself, in both directions, as in git
  for (let distance = 1; distance <= WINDOW; distance++) {
    const kind = kinds[at + step * distance];
    if (kind === UNIQUE) unique++;
    else if (kind === FREQUENT) frequent++;
    else break;
  }
  work.add(unique + frequent);
  return { unique, frequent };
}

/** Returns a power of two near the square root, by git's rule. */
function roughSquareRoot(value: number): number {
  let root = 1;
  for (let rest = value; rest > 0; rest >>= 2) root <<= 1;
  return root;
}
