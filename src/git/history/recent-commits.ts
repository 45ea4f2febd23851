import type { Git } from '../git.ts';
import type { NamedObject } from '../objects/read-many.ts';
import type { GitRepository } from '../repository.ts';
import type { CommitNode } from './commit-node.ts';
import type { CommitNodes } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import { orLeaveToGit } from './leave-to-git.ts';
import { isPlainRevision, resolveCommits } from './plain-revision.ts';

/** The first commits of a history in git's own order, without any condition on them. */
export interface RecentQuery {
  readonly revisions: readonly string[];
  readonly skip: number;
  readonly maxCount: number;
  readonly firstParent: boolean;
}

/** What is asked for beyond this is left to git, which is quicker at walking than at starting. */
const MAX_COMMITS = 256;
const MAX_REVISIONS = 16;
/** Trips to git, each of which reads several commits. */
const MAX_READS = 64;

/**
 * The commits that `git rev-list` and `git log` would begin with, found without starting git; `undefined` when only git can tell, for example
 * because it would fail. A test compares the two.
 */
export async function recentCommits(
  git: Git,
  repository: GitRepository,
  query: RecentQuery,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<NamedObject[] | undefined> {
  const { revisions, skip, maxCount } = query;
  if (maxCount < 0 || skip + maxCount > MAX_COMMITS || revisions.length > MAX_REVISIONS) return undefined;
  const objectFormat = git.objectFormat(repository);
  if (!revisions.every((revision) => isPlainRevision(revision, objectFormat))) return undefined;
  const nodes = git.commitNodes(repository);
  if (nodes.areGrafted) return undefined;
  return await orLeaveToGit(async () => {
    const starts = await resolveCommits(git.objects(repository), revisions, options);
    const oids = starts.filter((oid) => oid !== undefined);
    if (oids.length < starts.length) return undefined;
    const walked = await walkByDate(nodes, oids, { count: skip + maxCount, firstParent: query.firstParent });
    return walked?.slice(skip).map(({ oid }) => ({ oid }));
  }, options.signal);
}

/**
 * Walks from some commits, always to the newest one whose child has been seen; of several with the same date to the one that was seen first.
 * `undefined` when a commit that git would look at cannot be read or has an odd date, or too many have to be.
 */
export async function walkByDate(
  nodes: CommitNodes,
  starts: readonly string[],
  { count, firstParent }: { readonly count: number; readonly firstParent: boolean },
): Promise<CommitNode[] | undefined> {
  const seen = new Set<string>();
  const queue = new DateQueue<CommitNode>();
  const walked: CommitNode[] = [];
  let reads = 0;

  const see = async (oid: string): Promise<boolean> => {
    if (seen.has(oid)) return true;
    seen.add(oid);
    let node = nodes.known(oid);
    if (node === undefined && reads++ < MAX_READS) node = await nodes.read(oid);
    if (node?.seconds === undefined) return false;
    queue.push(node, node.seconds);
    return true;
  };
  for (const oid of starts) if (!(await see(oid))) return undefined;
  while (walked.length < count) {
    const node = queue.pop();
    if (node === undefined) break;
    walked.push(node);
    for (const parent of firstParent ? node.parents.slice(0, 1) : node.parents) if (!(await see(parent))) return undefined;
  }
  return walked;
}
