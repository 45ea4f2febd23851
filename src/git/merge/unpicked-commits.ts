import { flag, gitCommand } from '../command/git-command.ts';
import type { CommitNode } from '../history/commit-node.ts';
import { type CommitNodes, requireNotGrafted } from '../history/commit-nodes.ts';
import { DateQueue } from '../history/date-queue.ts';
import { FallBackToGit } from '../in-process.ts';
import type { GitRepository } from '../repository.ts';
import { requireDepthOf } from '../trees/tree-depth.ts';
import { nearMergeBase } from './merge-base.ts';
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
const MAX_STEPS = 4_000;
/** Limit of requests for commits, each of which reads several. */
const MAX_READS = 64;
/** Further commits that are looked at where dates are wrong, as in git. */
const SLOP = 5;

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
  const left = await commitsWithout(nodes, onto, base);
  const names = new PatchNames(repository, nodes, signal);
  const known = new Set<string>();
  for (const commit of right) known.add(await names.of(commit));
  for (const commit of left.filter(({ parents }) => parents.length < 2))
    if (known.has(await names.of(commit))) throw new FallBackToGit('commits may make the same change');
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

/** Returns the commits that are reachable from the start, but not from the base. */
async function commitsWithout(nodes: CommitNodes, start: string, base: string): Promise<CommitNode[]> {
  const queue = new DateQueue<CommitNode>();
  const seen = new Set<string>();
  /** Commits that the base does not reach, as far as is known, and those of them in the queue. */
  const found = new Map<string, CommitNode>();
  const waiting = new Set<string>();
  let reads = 0;
  const see = async (oid: string, isFound: boolean): Promise<void> => {
    if (seen.has(oid) && (isFound || !found.has(oid))) return;
    seen.add(oid);
    let node = nodes.known(oid);
    if (node === undefined && reads++ < MAX_READS) node = await nodes.read(oid);
    if (node?.seconds === undefined) throw new FallBackToGit('a commit cannot be read or is far away');
    if (isFound) {
      found.set(oid, node);
      waiting.add(oid);
    } else {
      found.delete(oid);
      waiting.delete(oid);
    }
    queue.push(node, node.seconds);
  };
  await see(base, false);
  await see(start, true);
  let oldest = Number.POSITIVE_INFINITY;
  for (let [steps, slop] = [0, SLOP]; slop > 0; steps++) {
    const node = queue.pop();
    if (node === undefined) break;
    if (steps > MAX_STEPS || found.size > MAX_COMMITS) throw new FallBackToGit('there are very many commits');
    waiting.delete(node.oid);
    const isFound = found.has(node.oid);
    const seconds = node.seconds ?? 0;
    if (isFound) oldest = Math.min(oldest, seconds);
    for (const parent of node.parents) await see(parent, isFound);
    slop = waiting.size > 0 || seconds >= oldest ? SLOP : slop - 1;
  }
  return [...found.values()];
}
