import { isRegular } from '#base/file-mode';
import { FallBackToGit } from '#git/command/in-process';
import type { FileChange } from '../parse/raw-line.ts';

/** Beyond as many files with the same contents, versions of git choose differently. */
const MAX_EQUAL_FILES = 99;
const SLASH = 0x2f;

/**
 * Joins removed and added files with equal contents to renames, as git does.
 *
 * @throws {FallBackToGit} when files remain on both sides, because they may be similar.
 */
export function withExactRenames(changes: readonly FileChange[]): FileChange[] {
  const removed = changes.filter(({ status }) => status === 'D');
  const added = changes.filter(({ status }) => status === 'A');
  if (removed.length === 0 || added.length === 0) return [...changes];
  const sources = Map.groupBy(removed, ({ fromOid }) => fromOid);
  const sourceOf = new Map<FileChange, FileChange>();
  const used = new Set<FileChange>();
  for (const target of added) {
    const source = bestSource(target, sources.get(target.toOid) ?? [], used);
    if (source === undefined) continue;
    used.add(source);
    sourceOf.set(target, source);
  }
  if (used.size < removed.length && used.size < added.length)
    throw new FallBackToGit('there may be renames of similar files');
  return changes
    .filter((change) => !used.has(change))
    .map((change) => {
      const source = sourceOf.get(change);
      if (source === undefined) return change;
      const { oldMode, fromOid, fromPath } = source;
      return { ...change, status: 'R' as const, oldMode, fromOid, fromPath };
    });
}

/** Returns the first unused source with the target's name, or else the first one. */
function bestSource(
  target: FileChange,
  equal: readonly FileChange[],
  used: ReadonlySet<FileChange>,
): FileChange | undefined {
  if (equal.length > MAX_EQUAL_FILES) throw new FallBackToGit('many removed files are equal');
  const candidates = equal.filter((source) => !used.has(source) && canBecome(source, target));
  const name = nameOf(target.toPath);
  return candidates.find(({ fromPath }) => nameOf(fromPath).equals(name)) ?? candidates[0];
}

/** Reports whether git joins two files with the same contents. */
function canBecome({ oldMode }: FileChange, { newMode }: FileChange): boolean {
  return oldMode === newMode || (isRegular(oldMode) && isRegular(newMode));
}

function nameOf(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}
