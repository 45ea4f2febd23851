import type { CompareWork } from './compare-work.ts';
import { histogramChanges } from './histogram.ts';
import { slideChanges } from './slide-changes.ts';
import type { Lines } from './split-lines.ts';

/** Lines of a file that others replace. */
export interface LineChange {
  /** The first line that is removed, or before which lines are added. */
  readonly at: number;
  readonly removed: number;
  /** The first new line, in the new file. */
  readonly newAt: number;
  readonly added: number;
}

/**
 * Compares two versions of a file, as git does for merges: by histograms, without the heuristic of
 * indents.
 *
 * @param idCount Number of different ids in both.
 * @throws {FallBackToGit} as `histogramChanges`.
 */
export function lineChanges(before: Lines, after: Lines, idCount: number, work: CompareWork): LineChange[] {
  const changed = histogramChanges({ before: before.ids, after: after.ids, idCount }, work);
  const old = { ids: before.ids, changed: changed.before };
  const now = { ids: after.ids, changed: changed.after };
  slideChanges(old, now, work);
  slideChanges(now, old, work);
  const changes: LineChange[] = [];
  for (let at = 0, newAt = 0; at < old.changed.length || newAt < now.changed.length; at++, newAt++) {
    const removed = changedFrom(old.changed, at);
    const added = changedFrom(now.changed, newAt);
    if (removed + added > 0) changes.push({ at, removed, newAt, added });
    at += removed;
    newAt += added;
  }
  return changes;
}

/** Returns the number of changed lines in a row. */
function changedFrom(changed: Uint8Array, start: number): number {
  let end = start;
  while (changed[end] === 1) end++;
  return end - start;
}
