import { eachInTurn } from '#base/async/loop-turns';
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

  constructor(paths: readonly Buffer[], { sides = [], message }: MergeConflictOptions = {}) {
    super(message ?? 'merge: there are conflicting files');
    this.paths = paths;
    this.sides = sides;
  }
}

/**
 * Returns the paths of entries in conflict, each once, in their order. Long lists are handled in
 * slices of the event loop.
 */
export async function conflictPaths(conflicts: readonly ConflictEntry[]): Promise<Buffer[]> {
  const byName = new Map<string, Buffer>();
  await eachInTurn(conflicts, ({ path }) => void byName.set(path.toString('latin1'), path));
  return [...byName.values()];
}
