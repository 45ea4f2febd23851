import { LoopSlice } from '#base/async/loop-turns';
import { type FoundRepository, RepositoryTable } from './repository-table.ts';

/** Finds changes in the directories of a storage. */
export interface RepositoryScanner {
  /** Number of directories that a scan examines. */
  readonly size: number;
  /** The next scan finds everything. */
  reset(): void;
  /** Yields the directories that have changed since the last scan, at first all. */
  changes(options: {
    /** Reports whether a repository can be skipped by the scan. */
    readonly knows: (relativePath: string) => boolean;
    readonly signal: AbortSignal;
  }): AsyncIterable<{
    /** Relative path; empty for the storage. */
    readonly directory: string;
    /** `undefined`: the directory is gone. */
    readonly repositories:
      | readonly { readonly relativePath: string; readonly modifiedMs: number | undefined }[]
      | undefined;
  }>;
}

export interface ScanTableOptions {
  /** Result of the last scan; `undefined` before the first one and after a failed one. */
  readonly previous: RepositoryTable | undefined;
  /** Table whose figures are reused. */
  readonly figures: RepositoryTable | undefined;
  /** Called with repositories as they are found. */
  readonly onFound: (repositories: readonly FoundRepository[]) => void;
  readonly signal: AbortSignal;
}

/**
 * Returns a table of the repositories in a storage; the previous one if nothing has changed.
 *
 * @throws the signal's reason.
 */
export async function scanTable(
  scanner: RepositoryScanner,
  { figures, onFound, previous, signal }: ScanTableOptions,
): Promise<RepositoryTable> {
  if (previous === undefined) scanner.reset();
  const knows = (relativePath: string): boolean => previous?.has(relativePath) ?? false;
  const changed = new Map<string, readonly FoundRepository[]>();
  for await (const { directory, repositories = [] } of scanner.changes({ knows, signal })) {
    const found = repositories.map(({ modifiedMs = 0, relativePath }) => ({
      name: relativePath,
      changedMs: modifiedMs,
    }));
    changed.set(directory, found);
    onFound(found);
  }
  if (previous !== undefined && changed.size === 0) return previous;
  const all: FoundRepository[] = [];
  const slice = new LoopSlice();
  for (const name of previous?.names ?? []) {
    await slice.pause(signal);
    if (!changed.has(name.slice(0, Math.max(0, name.lastIndexOf('/'))))) all.push({ name, changedMs: 0 });
  }
  for (const found of changed.values()) {
    await slice.pause(signal);
    for (const each of found) all.push(each);
  }
  return await RepositoryTable.of(all, { previous: figures, signal });
}
