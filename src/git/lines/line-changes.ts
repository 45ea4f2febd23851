import type { CompareWork } from './compare-work.ts';
import { type ChangedLines, type FilePair, histogramChanges } from './histogram.ts';
import { Indents } from './indents.ts';
import { myersChanges } from './myers.ts';
import { type SlideRules, slideChanges } from './slide-changes.ts';
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

/** Two versions of a file. */
export interface LineVersions {
  readonly before: Lines;
  readonly after: Lines;
  /** Number of different ids in both. */
  readonly idCount: number;
}

/**
 * Compares two versions of a file as git does for merges: by histograms, without indents.
 *
 * @throws {FallBackToGit} as `histogramChanges`, and where versions of git differ.
 */
export function lineChangesOfMerge(versions: LineVersions, work: CompareWork): LineChange[] {
  const rules = { work, isComparedAgain: true };
  return changesOf(versions, histogramChanges(idsOf(versions), work), { before: rules, after: rules });
}

/**
 * Compares two versions of a file as `git diff` does by default.
 *
 * @throws {FallBackToGit} when there is too much work.
 */
export function lineChangesOfDiff(versions: LineVersions, work: CompareWork): LineChange[] {
  return changesOf(versions, myersChanges(idsOf(versions), work), {
    before: { work, indents: new Indents(versions.before, work) },
    after: { work, indents: new Indents(versions.after, work) },
  });
}

function idsOf({ before, after, idCount }: LineVersions): FilePair {
  return { before: before.ids, after: after.ids, idCount };
}

function changesOf(
  { before, after }: LineVersions,
  changed: ChangedLines,
  rules: { readonly before: SlideRules; readonly after: SlideRules },
): LineChange[] {
  const old = { ids: before.ids, changed: changed.before };
  const now = { ids: after.ids, changed: changed.after };
  slideChanges(old, now, rules.before);
  slideChanges(now, old, rules.after);
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
