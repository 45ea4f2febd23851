import { FallBackToGit } from '../in-process.ts';
import type { NamedObject } from '../objects/read-many.ts';
import type { GitRepository } from '../repository.ts';
import type { CommitNode } from './commit-node.ts';
import { type CommitNodes, requireNotGrafted } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import { requirePlainRevisions, resolveCommits } from './plain-revision.ts';

/** The first commits of a history in git's own order, without conditions. */
export interface RecentQuery {
  readonly revisions: readonly string[];
  readonly skip: number;
  readonly maxCount: number;
  readonly firstParent: boolean;
}

/** Limit of the walk; for more, git is faster. */
const MAX_COMMITS = 256;
const MAX_REVISIONS = 16;
/** Limit of requests to git, each of which reads several commits. */
const MAX_READS = 64;

/**
 * Returns the commits that `git rev-list` and `git log` begin with, found without starting git;
 * `undefined` when the caller has to start it. A test compares the two.
 */
export async function recentCommits(
  repository: GitRepository,
  query: RecentQuery,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<NamedObject[] | undefined> {
  const { revisions, skip, maxCount, firstParent } = query;
  if (maxCount < 0 || skip + maxCount > MAX_COMMITS || revisions.length > MAX_REVISIONS) return undefined;
  return await repository.inProcess.attempt<NamedObject[] | undefined>(
    'recent_commits',
    async () => {
      requirePlainRevisions(revisions, repository.objectFormat);
      const nodes = requireNotGrafted(repository.commits);
      const starts = await resolveCommits(repository.objects, revisions, options);
      const oids = starts.filter((oid) => oid !== undefined);
      if (oids.length < starts.length) throw new FallBackToGit('there is no such commit');
      const walked = await walkByDate(nodes, oids, { count: skip + maxCount, firstParent });
      return walked.slice(skip).map(({ oid }) => ({ oid }));
    },
    () => undefined,
  );
}

/**
 * Walks from some commits, always to the newest one whose child has been seen; of several with the
 * same date to the one that was seen first.
 *
 * @throws {FallBackToGit} when a commit that git would check cannot be read or has an invalid
 *   date, and when too many have to be read.
 */
export async function walkByDate(
  nodes: CommitNodes,
  starts: readonly string[],
  { count, firstParent }: { readonly count: number; readonly firstParent: boolean },
): Promise<CommitNode[]> {
  const seen = new Set<string>();
  const queue = new DateQueue<CommitNode>();
  const walked: CommitNode[] = [];
  let reads = 0;

  const see = async (oid: string): Promise<void> => {
    if (seen.has(oid)) return;
    seen.add(oid);
    let node = nodes.known(oid);
    if (node === undefined && reads++ < MAX_READS) node = await nodes.read(oid);
    if (node?.seconds === undefined) throw new FallBackToGit('a commit cannot be read or is far away');
    queue.push(node, node.seconds);
  };
  for (const oid of starts) await see(oid);
  while (walked.length < count) {
    const node = queue.pop();
    if (node === undefined) break;
    walked.push(node);
    for (const parent of firstParent ? node.parents.slice(0, 1) : node.parents) await see(parent);
  }
  return walked;
}
