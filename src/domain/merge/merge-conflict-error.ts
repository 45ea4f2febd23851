import type { ConflictEntry } from '#git/merge/parse-merge-tree';

export interface MergeConflictOptions {
  /** The revisions of both sides, as the caller named them. */
  readonly sides?: readonly string[];
  readonly message?: string;
}

/** Both sides changed files in ways that exclude each other. */
export class MergeConflictError extends Error {
  override readonly name = 'MergeConflictError';
  /** Paths of the files, as bytes, each once, in git's order. */
  readonly paths: readonly Buffer[];
  readonly sides: readonly string[];

  constructor(conflicts: readonly ConflictEntry[], { sides = [], message }: MergeConflictOptions = {}) {
    super(message ?? 'merge: there are conflicting files');
    const byName = new Map(conflicts.map(({ path }) => [path.toString('latin1'), path]));
    this.paths = [...byName.values()];
    this.sides = sides;
  }
}
