import type { NamedObject } from '../objects/read-many.ts';
import type { GitRepository } from '../repository.ts';
import { requireNotGrafted } from './graph/commit-nodes.ts';
import { resolveRange } from './graph/plain-revision.ts';
import { walkRange } from './graph/walk-range.ts';
import { type PathSelection, pathChanges } from './path-changes.ts';

/** A history in git's own order, selected by what can be seen without reading messages. */
export interface RecentQuery extends Partial<PathSelection> {
  /** Names of commits, exclusions (`^name`) and ranges (`name..name`). */
  readonly revisions: readonly string[];
  readonly skip: number;
  /** Number of commits after the skipped ones; `undefined` for all. */
  readonly maxCount: number | undefined;
  readonly firstParent: boolean;
  /** Leaves out commits with more parents; 0 means any number. */
  readonly maxParents?: number;
  /** Oldest first; applied after `skip` and `maxCount`. */
  readonly reverse?: boolean;
}

/** Limit of the list; for more, git is faster. */
const MAX_COMMITS = 256;

/**
 * Returns the commits that `git rev-list` and `git log` list, found without starting git;
 * `undefined` when the caller has to start it. A test compares the two.
 */
export async function recentCommits(
  repository: GitRepository,
  query: RecentQuery,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<NamedObject[] | undefined> {
  const { revisions, skip, maxCount, firstParent, maxParents = 0, reverse = false } = query;
  const end = maxCount === undefined ? undefined : skip + maxCount;
  if (end !== undefined && (end < skip || end > MAX_COMMITS)) return undefined;
  return await repository.inProcess.attempt<NamedObject[] | undefined>(
    'recent_commits',
    async () => {
      const nodes = requireNotGrafted(repository.commits);
      const changes = pathChanges(repository.objects, query, options);
      const starts = await resolveRange(repository, revisions, options);
      const walked = await walkRange(nodes, starts, {
        ...options,
        ...{ firstParent, maxParents, changes },
        maxCommits: MAX_COMMITS,
        count: end,
      });
      const selected = walked.slice(skip, end).map(({ node }) => ({ oid: node.oid }));
      return reverse ? selected.reverse() : selected;
    },
    () => undefined,
  );
}
