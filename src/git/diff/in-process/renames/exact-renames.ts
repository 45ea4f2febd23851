import { isRegular } from '#base/file-mode';
import { FallBackToGit } from '#git/command/in-process';
import type { ChangedPath } from '#git/diff/parse/raw-line';
import { haveSameName } from './file-names.ts';

/** Beyond as many files with the same contents, versions of git choose differently. */
const MAX_EQUAL_FILES = 99;

/**
 * Finds the removed files whose contents were added elsewhere, as git does: the source of each
 * target.
 *
 * @throws {FallBackToGit} for very many equal files.
 */
export function exactRenames(
  removed: readonly ChangedPath[],
  added: readonly ChangedPath[],
): Map<ChangedPath, ChangedPath> {
  const sources = Map.groupBy(removed, ({ fromOid }) => fromOid);
  const sourceOf = new Map<ChangedPath, ChangedPath>();
  const used = new Set<ChangedPath>();
  for (const target of added) {
    const source = bestSource(target, sources.get(target.toOid) ?? [], used);
    if (source === undefined) continue;
    used.add(source);
    sourceOf.set(target, source);
  }
  return sourceOf;
}

/** Returns the first unused source with the target's name, or else the first one. */
function bestSource(
  target: ChangedPath,
  equal: readonly ChangedPath[],
  used: ReadonlySet<ChangedPath>,
): ChangedPath | undefined {
  if (equal.length > MAX_EQUAL_FILES) throw new FallBackToGit('many removed files are equal');
  const candidates = equal.filter((source) => !used.has(source) && canBecome(source, target));
  return candidates.find(({ fromPath }) => haveSameName(fromPath, target.toPath)) ?? candidates[0];
}

/** Reports whether git joins two files with the same contents. */
function canBecome({ oldMode }: ChangedPath, { newMode }: ChangedPath): boolean {
  return oldMode === newMode || (isRegular(oldMode) && isRegular(newMode));
}
