import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { GitExitError } from '#git/command/process/exit-error';
import type { GitRepository } from '#git/repository';
import { walkToGraph } from './above-graph.ts';
import type { CommitGraph } from './commit-graph.ts';
import { type CommitNodes, requireNotGrafted } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import { requirePlainRevisions, resolveCommits } from './plain-revision.ts';

/** Two revisions; tags are peeled. */
export interface AncestryQuestion {
  readonly ancestor: string;
  readonly descendant: string;
}

interface AncestryOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reports whether a commit is reachable from another, like `git merge-base --is-ancestor`; `false`
 * also if one of them is not a commit. Nearby commits, and those in the commit-graph, are found
 * without starting git.
 *
 * @throws {GitalyError} without a code for a revision that starts with a dash.
 */
export async function isAncestor(
  repository: GitRepository,
  question: AncestryQuestion,
  options: AncestryOptions = {},
): Promise<boolean> {
  return await repository.inProcess.attempt(
    'is_ancestor',
    () => isNearAncestor(repository, question, options),
    () => askGit(repository, question, options),
  );
}

async function isNearAncestor(
  repository: GitRepository,
  { ancestor, descendant }: AncestryQuestion,
  options: AncestryOptions,
): Promise<boolean> {
  requirePlainRevisions([ancestor, descendant], repository.objectFormat);
  const nodes = requireNotGrafted(repository.commits);
  const [from, to] = await resolveCommits(repository.objects, [ancestor, descendant], options);
  if (from === undefined || to === undefined) return false;
  return await (nodes.graph === undefined
    ? reaches(nodes, to, from)
    : reachesByGraph(nodes, nodes.graph, to, from));
}

async function askGit(
  repository: GitRepository,
  question: AncestryQuestion,
  options: AncestryOptions,
): Promise<boolean> {
  try {
    return await askMergeBase(repository, question, options);
  } catch (error) {
    if (!(error instanceof GitExitError) || options.signal?.aborted === true) throw error;
    return false;
  }
}

/**
 * Runs `git merge-base --is-ancestor`.
 *
 * @throws {GitExitError} if one of them is not a commit.
 */
export async function askMergeBase(
  repository: GitRepository,
  { ancestor, descendant }: AncestryQuestion,
  { signal }: AncestryOptions,
): Promise<boolean> {
  const command = gitCommand('merge-base', {
    options: [flag('--is-ancestor')],
    revisions: [ancestor, descendant],
  });
  try {
    await repository.run(command, { signal });
    return true;
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1 && signal?.aborted !== true) return false;
    throw error;
  }
}

/** Limit of the walk's steps to parents: a fraction of the time to start git. */
const MAX_STEPS = 1_000;
const MAX_ABOVE_GRAPH = 500;
/** Limit of requests to git, each of which reads several commits. */
const MAX_READS = 8;

/** Reachable from the potential descendant. */
const BELOW = 1;
/** Reachable from the potential ancestor. */
const BEYOND = 2;
const BOTH = BELOW | BEYOND;

const UNREADABLE = 'a commit cannot be read';
const FAR_AWAY = 'the commits are far from each other';

/**
 * Reports whether `ancestor` is reachable from `descendant`.
 *
 * Paints the history of both, newest first, as git does. Commits that both reach cannot lead to the
 * ancestor (it would be its own ancestor), so the walk ends when only those are left. This is
 * correct for any order of commits; dates only make it short.
 *
 * @throws {FallBackToGit} when a few steps do not suffice.
 */
export async function reaches(nodes: CommitNodes, descendant: string, ancestor: string): Promise<boolean> {
  if (descendant === ancestor) return true;
  const paint = new Map<string, number>();
  /** Queued commits that are not painted by both. */
  const undecided = new Set<string>();
  const queue = new DateQueue<string>();
  let reads = 0;

  const read = async (oid: string) => (reads++ < MAX_READS ? await nodes.read(oid) : undefined);
  for (const [oid, color] of [
    [descendant, BELOW],
    [ancestor, BEYOND],
  ] as const) {
    const start = nodes.known(oid) ?? (await read(oid));
    if (start === undefined) throw new FallBackToGit(UNREADABLE);
    paint.set(oid, color);
    undecided.add(oid);
    queue.push(oid, start.seconds ?? 0);
  }

  let steps = 0;
  while (undecided.size > 0) {
    const oid = queue.pop();
    if (oid === undefined) return false;
    undecided.delete(oid);
    // It is cached unless thousands of other commits were read in the meantime.
    const commit = nodes.known(oid);
    steps += Math.max(1, commit?.parents.length ?? 0);
    if (commit === undefined || steps > MAX_STEPS) throw new FallBackToGit(FAR_AWAY);
    const color = paint.get(oid) ?? 0;
    for (const parentOid of commit.parents) {
      const old = paint.get(parentOid) ?? 0;
      const now = old | color;
      if (now === old) continue;
      if (parentOid === ancestor) return true;
      const parent = nodes.known(parentOid) ?? (await read(parentOid));
      if (parent === undefined) throw new FallBackToGit(FAR_AWAY);
      paint.set(parentOid, now);
      if (now === BOTH) undecided.delete(parentOid);
      else undecided.add(parentOid);
      queue.push(parentOid, parent.seconds ?? 0);
    }
  }
  return false;
}

/** Limit of the steps to parents in the graph, which take about as long as starting git. */
const MAX_GRAPH_STEPS = 15_000;

/**
 * Reports the same with the graph: reads commits newer than the graph until the walk reaches
 * commits in it. @throws {FallBackToGit} as {@link reaches}.
 */
export async function reachesByGraph(
  nodes: CommitNodes,
  graph: CommitGraph,
  descendant: string,
  ancestor: string,
): Promise<boolean> {
  if (descendant === ancestor) return true;
  const place = { nodes, graph };
  const limits = { maxReads: MAX_READS, maxCommits: MAX_ABOVE_GRAPH };
  const { seen, entries } = await walkToGraph(place, [descendant], limits, ancestor);
  if (seen.has(ancestor)) return true;
  const target = graph.positionOf(ancestor);
  // All ancestors of a commit in the graph are in the graph.
  return target === undefined ? false : isReached(graph, entries, target);
}

function isReached(graph: CommitGraph, starts: readonly number[], target: number): boolean {
  const seen = new Set<number>();
  const waiting = [...starts];
  let steps = 0;
  for (let position = waiting.pop(); position !== undefined; position = waiting.pop()) {
    if (position === target) return true;
    if (seen.has(position) || !graph.mayReach(position, target)) continue;
    const parents = graph.parentsOf(position);
    steps += Math.max(1, parents?.length ?? 0);
    if (parents === undefined || steps > MAX_GRAPH_STEPS) throw new FallBackToGit(FAR_AWAY);
    seen.add(position);
    for (const parent of parents) waiting.push(parent);
  }
  return false;
}
