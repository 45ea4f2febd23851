import { equalLength } from '#base/equal-length';
import { fallBackOnFailure } from '../command/in-process.ts';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import type { OidBytes } from '../names/object-id.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';

const SLASH = 0x2f;

/** The entries of a tree, one after the other. */
export class TreeEntries {
  readonly cursor: TreeCursor;
  isAtEnd = false;
  /** As git prints it. */
  mode = 0;
  isTree = false;

  constructor(data: Buffer, oidBytes: OidBytes) {
    this.cursor = new TreeCursor(data, oidBytes);
    this.next();
  }

  /** @throws {FallBackToGit} when the tree is malformed. */
  next(): void {
    this.moveTo(this.cursor.end);
  }

  /** Moves to a position where an entry starts, or to the end. @throws as {@link next}. */
  moveTo(position: number): void {
    try {
      this.isAtEnd = !this.cursor.moveTo(position);
    } catch (error) {
      fallBackOnFailure(error);
    }
    this.mode = canonicalMode(this.cursor.mode);
    this.isTree = kindOf(this.mode) === 'tree';
  }
}

/** Compares the names of two entries in git's order, where a directory ends with a slash. */
export function orderOf(old: TreeEntries, now: TreeEntries): number {
  if (old.isAtEnd || now.isAtEnd) return Number(old.isAtEnd) - Number(now.isAtEnd);
  const [one, other] = [old.cursor, now.cursor];
  const [length, otherLength] = [one.nameEnd - one.nameAt, other.nameEnd - other.nameAt];
  for (let at = 0; ; at++) {
    const byte = at < length ? one.data[one.nameAt + at] : endOf(old, at - length);
    const otherByte = at < otherLength ? other.data[other.nameAt + at] : endOf(now, at - otherLength);
    if (byte !== otherByte) return (byte ?? 0) - (otherByte ?? 0);
    if (at >= length && at >= otherLength) return 0;
  }
}

function endOf({ isTree }: TreeEntries, distance: number): number {
  return isTree && distance === 0 ? SLASH : 0;
}

/** Reports whether two entries have the same mode, as git prints it, and the same id. */
export function areEqual(old: TreeEntries, now: TreeEntries): boolean {
  if (old.mode !== now.mode) return false;
  const [one, other] = [old.cursor, now.cursor];
  for (let at = 1; at <= one.oidBytes; at++)
    if (one.data[one.nameEnd + at] !== other.data[other.nameEnd + at]) return false;
  return true;
}

/**
 * Moves behind the current entries, which are equal, and behind those that follow and are the same
 * byte by byte: only one of the trees is read for them. @throws as {@link TreeEntries.next}.
 */
export function skipEqual(old: TreeEntries, now: TreeEntries): void {
  const [one, other] = [old.cursor, now.cursor];
  const [from, otherFrom] = [one.end, other.end];
  const limit = Math.min(one.data.length - from, other.data.length - otherFrom);
  const same = equalLength(limit, (start, end) => {
    const range = [otherFrom + start, otherFrom + end, from + start, from + end] as const;
    return one.data.compare(other.data, ...range) === 0;
  });
  do old.next();
  while (!old.isAtEnd && one.end - from <= same);
  now.moveTo(otherFrom + one.start - from);
}
