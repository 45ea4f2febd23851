import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { GitRepository } from '../repository.ts';
import { parseRawRecords, type RawRecord } from './raw-records.ts';

/**
 * The compared objects: a commit with its parents or with other commits, or two trees; full ids.
 */
export type Comparison =
  | { readonly commit: string; readonly parents: readonly string[] }
  | { readonly trees: readonly [string, string] };

export interface ChangedPathsQuery {
  readonly comparisons: readonly Comparison[];
  /** Letters of the listed kinds of change, as for `--diff-filter`. */
  readonly filter: string;
  /** Finds renames at 30 % similarity. */
  readonly findRenames: boolean;
  /**
   * Comparison of a merge: with each parent in turn, with all at once (only what differs from all),
   * or none.
   */
  readonly merges: 'each' | 'all' | 'none';
  readonly signal?: AbortSignal | undefined;
}

const MERGE_FLAGS = { each: [flag('-m')], all: [flag('-c')], none: [] } as const;

/**
 * Lists the changes of comparisons, in their order, with one process. @throws {GitExitError} when
 * git fails.
 */
export function changedPaths(
  repository: GitRepository,
  query: ChangedPathsQuery,
): AsyncGenerator<RawRecord[]> {
  const { comparisons, filter, findRenames, merges, signal } = query;
  const onlyCommits = comparisons.every((comparison) => 'commit' in comparison);
  const options = [
    flag('-z'),
    flag('--stdin'),
    flag('-r'),
    flag('--root'),
    flag(`--diff-filter=${filter}`),
    ...(onlyCommits ? [] : [flag('--no-commit-id')]),
    flag(findRenames ? '--find-renames=30%' : '--no-renames'),
    ...MERGE_FLAGS[merges],
  ];
  const lines = comparisons.map((comparison) =>
    ('commit' in comparison ? [comparison.commit, ...comparison.parents] : comparison.trees).join(' '),
  );
  const input = Buffer.from(`${lines.join('\n')}\n`);
  return parseRawRecords(outputBytes(repository, gitCommand('diff-tree', { options }), { signal, input }));
}
