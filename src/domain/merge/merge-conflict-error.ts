import type { ConflictEntry } from '#git/merge/parse-merge-tree';

/** Files were changed on both sides in ways that do not go together. */
export class MergeConflictError extends Error {
  override readonly name = 'MergeConflictError';
  /** Paths of the files, as bytes, each once, in git's order. */
  readonly paths: readonly Buffer[];

  constructor(conflicts: readonly ConflictEntry[], message = 'merge: there are conflicting files') {
    super(message);
    const byName = new Map(conflicts.map(({ path }) => [path.toString('latin1'), path]));
    this.paths = [...byName.values()];
  }
}
