import { flag, gitCommand } from '../command/git-command.ts';
import { FallBackToGit } from '../command/in-process.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import { type CommitNodes, requireNotGrafted } from '../history/graph/commit-nodes.ts';
import { nearMergeBase } from '../history/graph/merge-base.ts';
import { walkRange } from '../history/graph/walk-range.ts';
import type { GitRepository } from '../repository.ts';
import { requireDepthOf } from '../trees/tree-depth.ts';
import { PatchNames } from './patch-names.ts';

/** Two commits with a common ancestor, neither of which is reachable from the other. */
export interface RebasedBranch {
  readonly onto: string;
  readonly tip: string;
}

interface Options {
  readonly signal: AbortSignal;
}

/** Limit of a side's commits; git lists more of them faster. */
const MAX_COMMITS = 256;

/**
 * Lists the commits of `tip` that `onto` lacks, oldest first, without merges and without those
 * whose change a commit of `onto` makes as well.
 *
 * @throws {GitalyError} FAILED_PRECONDITION for trees that are nested too deep; {GitExitError}.
 */
export async function unpickedCommits(
  repository: GitRepository,
  branch: RebasedBranch,
  options: Options,
): Promise<string[]> {
  return await repository.inProcess.attempt(
    'unpicked_commits',
    () => nearUnpickedCommits(repository, branch, options),
    () => askGit(repository, branch, options),
  );
}

/**
 * Lists the same commits without starting git. For use inside an attempt.
 *
 * @throws {FallBackToGit} when there are many commits or trees, when the branch contains merges,
 *   and when commits of both sides change the same files.
 */
export async function nearUnpickedCommits(
  repository: GitRepository,
  { onto, tip }: RebasedBranch,
  { signal }: Options,
): Promise<string[]> {
  const nodes = requireNotGrafted(repository.commits);
  const base = await nearMergeBase(repository, onto, tip);
  if (base === undefined) throw new FallBackToGit('the commits have nothing in common');
  const right = await chainOf(nodes, tip, base);
  const starts = [{ oid: base, isExcluded: true }, { oid: onto }];
  // git also compares commits that it lists before it finds them excluded.
  const left = await walkRange(nodes, starts, { signal, maxCommits: MAX_COMMITS, needsDateOrder: true });
  const names = new PatchNames(repository, nodes, signal);
  const known = new Set<string>();
  for (const commit of right) known.add(await names.of(commit));
  for (const { node } of left.filter(({ node: { parents } }) => parents.length < 2))
    if (known.has(await names.of(node))) throw new FallBackToGit('commits may make the same change');
  return right.map(({ oid }) => oid).reverse();
}

/** For `--cherry-pick` git from 2.46 on reads trees, and fails if they are nested too deep. */
async function askGit(
  repository: GitRepository,
  { onto, tip }: RebasedBranch,
  { signal }: Options,
): Promise<string[]> {
  const words = ['--cherry-pick', '--right-only', '--no-merges', '--topo-order', '--reverse'];
  const command = gitCommand('rev-list', { options: words.map(flag), revisions: [`${onto}...${tip}`] });
  const output = await repository.run(command, { signal }).catch(async (error: unknown) => {
    await requireDepthOf(repository, `${tip}^{tree}`, signal);
    throw error;
  });
  return output
    .toString('latin1')
    .split('\n')
    .filter((oid) => oid !== '');
}

/** Returns the commits from the tip to the base, without the base, if each has one parent. */
async function chainOf(nodes: CommitNodes, tip: string, base: string): Promise<CommitNode[]> {
  const chain: CommitNode[] = [];
  for (let oid = tip; oid !== base; ) {
    const node = nodes.known(oid) ?? (await nodes.read(oid));
    const [parent, ...others] = node?.parents ?? [];
    if (node?.seconds === undefined || parent === undefined)
      throw new FallBackToGit('a commit cannot be read');
    if (others.length > 0) throw new FallBackToGit('the branch contains merges');
    if (chain.push(node) > MAX_COMMITS) throw new FallBackToGit('there are very many commits');
    oid = parent;
  }
  return chain;
}
