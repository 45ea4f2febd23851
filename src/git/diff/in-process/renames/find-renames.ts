import { isRegular } from '#base/file-mode';
import { FallBackToGit } from '#git/command/in-process';
import type { ChangedPath } from '#git/diff/parse/raw-line';
import { bestCandidates, type Candidate, chooseRenames } from './best-matches.ts';
import { MAX_SCORE, type SimilarFile, type Similarities } from './similarities.ts';

const SLASH = 0x2f;

/** Returns the part of a path after its last slash. */
function fileNameOf(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

function haveSameName(left: Buffer, right: Buffer): boolean {
  return fileNameOf(left).equals(fileNameOf(right));
}

/** A change; a rename has the similarity of its sides. */
export interface ComparedChange extends ChangedPath {
  /** In percent. */
  readonly similarity?: number;
}

export interface RenameOptions {
  /** Smallest similarity of a rename, in percent. */
  readonly minimum: number;
  /** Called once if contents have to be compared. */
  readonly similarities: () => Promise<Similarities>;
}

/** A removed or added file. */
interface End extends SimilarFile {
  readonly change: ChangedPath;
}

/**
 * Joins removed and added files to renames, as git does: equal files first, then similar ones whose
 * names occur once, then the most similar ones.
 *
 * @throws {FallBackToGit} for many equal files, and as {@link Similarities.score}.
 */
export async function withRenames(
  changes: readonly ChangedPath[],
  { minimum, similarities }: RenameOptions,
): Promise<ComparedChange[]> {
  const removed = changes.filter(({ status }) => status === 'D');
  const added = changes.filter(({ status }) => status === 'A');
  if (removed.length === 0 || added.length === 0) return [...changes];
  const renames = new Renames();
  for (const [target, source] of exactRenames(removed, added)) renames.add(source, target, MAX_SCORE);
  if (renames.hasLeft(removed, added)) {
    const compared = await similarities();
    const minimumScore = (MAX_SCORE * minimum) / 100;
    await addSameNames(renames, renames.endsOf(removed, added), compared, minimumScore);
    await addSimilar(renames, renames.endsOf(removed, added), compared, minimumScore);
  }
  return renames.apply(changes);
}

/** Renames that were found so far. */
class Renames {
  readonly #sources = new Set<ChangedPath>();
  readonly #byTarget = new Map<ChangedPath, { readonly source: ChangedPath; readonly score: number }>();

  add(source: ChangedPath, target: ChangedPath, score: number): void {
    this.#sources.add(source);
    this.#byTarget.set(target, { source, score });
  }

  /** Reports whether files are left on both sides. */
  hasLeft(removed: readonly ChangedPath[], added: readonly ChangedPath[]): boolean {
    return this.#sources.size < removed.length && this.#byTarget.size < added.length;
  }

  /** Returns the files that are no part of a rename. */
  endsOf(removed: readonly ChangedPath[], added: readonly ChangedPath[]): readonly [End[], End[]] {
    return [
      removed
        .filter((change) => !this.#sources.has(change))
        .map((change) => ({ change, mode: change.oldMode, oid: change.fromOid, path: change.fromPath })),
      added
        .filter((change) => !this.#byTarget.has(change))
        .map((change) => ({ change, mode: change.newMode, oid: change.toOid, path: change.toPath })),
    ];
  }

  apply(changes: readonly ChangedPath[]): ComparedChange[] {
    return changes
      .filter((change) => !this.#sources.has(change))
      .map((change) => {
        const rename = this.#byTarget.get(change);
        if (rename === undefined) return change;
        const { oldMode, fromOid, fromPath } = rename.source;
        const similarity = Math.floor((rename.score * 100) / MAX_SCORE);
        return { ...change, status: 'R' as const, oldMode, fromOid, fromPath, similarity };
      });
  }
}

type Ends = readonly [sources: readonly End[], targets: readonly End[]];

/** Adds the similar files with a name that only one removed and one added file has. */
async function addSameNames(
  renames: Renames,
  [sources, targets]: Ends,
  compared: Similarities,
  minimumScore: number,
): Promise<void> {
  const minimumOfNames = minimumScore + Math.floor((MAX_SCORE - minimumScore) / 2);
  const [sourceNames, targetNames] = [byName(sources), byName(targets)];
  for (const [name, [source, otherSource]] of sourceNames) {
    const [target, otherTarget] = targetNames.get(name) ?? [];
    if (
      source === undefined ||
      target === undefined ||
      otherSource !== undefined ||
      otherTarget !== undefined
    )
      continue;
    const score = await compared.score(source, target, minimumOfNames);
    if (score >= minimumOfNames) renames.add(source.change, target.change, score);
  }
}

function byName(ends: readonly End[]): Map<string, End[]> {
  return Map.groupBy(ends, ({ path }) => fileNameOf(path).toString('latin1'));
}

/** Adds the most similar pairs. */
async function addSimilar(
  renames: Renames,
  [sources, targets]: Ends,
  compared: Similarities,
  minimumScore: number,
): Promise<void> {
  const best: Candidate[] = [];
  for (const [target, to] of targets.entries()) {
    const all: Candidate[] = [];
    for (const [source, from] of sources.entries()) {
      const score = await compared.score(from, to, minimumScore);
      all.push({ source, target, score, hasSameName: haveSameName(from.path, to.path) });
    }
    best.push(...bestCandidates(all));
  }
  for (const { source, target, score } of chooseRenames(best, minimumScore)) {
    const [from, to] = [sources[source], targets[target]];
    if (from !== undefined && to !== undefined) renames.add(from.change, to.change, score);
  }
}

/** Beyond as many files with the same contents, versions of git choose differently. */
const MAX_EQUAL_FILES = 99;

/**
 * Finds the removed files whose contents were added elsewhere, as git does: the source of each
 * target.
 *
 * @throws {FallBackToGit} for very many equal files.
 */
function exactRenames(
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
