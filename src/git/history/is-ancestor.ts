import { GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import type { CommitGraph } from './commit-graph.ts';
import type { CommitNodes } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import { orLeaveToGit } from './leave-to-git.ts';
import { isPlainRevision, resolveCommits } from './plain-revision.ts';

/** Two revisions, tags peeled. */
export interface AncestryQuestion {
  readonly ancestor: string;
  readonly descendant: string;
}

interface AncestryOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whether a commit is reached from another, as `git merge-base --is-ancestor` says; `false` also when one of them is no commit. Commits that
 * are near each other, or in the commit-graph, are found without starting git.
 *
 * @throws {GitalyError} without a code for a revision that starts with a dash.
 */
export async function isAncestor(
  git: Git,
  repository: GitRepository,
  question: AncestryQuestion,
  options: AncestryOptions = {},
): Promise<boolean> {
  return (await isNearAncestor(git, repository, question, options)) ?? (await askGit(git, repository, question, options));
}

async function isNearAncestor(
  git: Git,
  repository: GitRepository,
  { ancestor, descendant }: AncestryQuestion,
  options: AncestryOptions,
): Promise<boolean | undefined> {
  const objectFormat = git.objectFormat(repository);
  if (!isPlainRevision(ancestor, objectFormat) || !isPlainRevision(descendant, objectFormat)) return undefined;
  const nodes = git.commitNodes(repository);
  if (nodes.areGrafted) return undefined;
  return await orLeaveToGit(async () => {
    const [from, to] = await resolveCommits(git.objects(repository), [ancestor, descendant], options);
    if (from === undefined || to === undefined) return false;
    return await (nodes.graph === undefined ? reaches(nodes, to, from) : reachesByGraph(nodes, nodes.graph, to, from));
  }, options.signal);
}

async function askGit(
  git: Git,
  repository: GitRepository,
  { ancestor, descendant }: AncestryQuestion,
  { signal }: AncestryOptions,
): Promise<boolean> {
  const command = gitCommand('merge-base', { options: [flag('--is-ancestor')], args: [ancestor, descendant] });
  try {
    await git.run(command, { repository, signal });
    return true;
  } catch (error) {
    if (!(error instanceof GitExitError) || signal?.aborted === true) throw error;
    return false;
  }
}

/** The walk is given up beyond this: a fraction of what git needs to start. */
const MAX_STEPS = 500;
/** Trips to git, each of which reads several commits. */
const MAX_READS = 8;

/** Reached from the commit that is to be the descendant. */
const BELOW = 1;
/** Reached from the commit that is to be the ancestor. */
const BEYOND = 2;
const BOTH = BELOW | BEYOND;

/**
 * Whether `ancestor` is reached from `descendant`; `undefined` when that is not found out in a few steps.
 *
 * Paints the history of both, newest first, as git does. Commits that both reach cannot lead to the ancestor (it would be its own
 * ancestor), so the walk ends when nothing else is left. That holds in whatever order the commits come; dates only make it short.
 */
export async function reaches(nodes: CommitNodes, descendant: string, ancestor: string): Promise<boolean | undefined> {
  if (descendant === ancestor) return true;
  const paint = new Map<string, number>();
  /** Queued, and not painted by both. */
  const undecided = new Set<string>();
  const queue = new DateQueue<string>();
  let reads = 0;

  const read = async (oid: string) => (reads++ < MAX_READS ? await nodes.read(oid) : undefined);
  for (const [oid, color] of [
    [descendant, BELOW],
    [ancestor, BEYOND],
  ] as const) {
    const start = nodes.known(oid) ?? (await read(oid));
    if (start === undefined) return undefined;
    paint.set(oid, color);
    undecided.add(oid);
    queue.push(oid, start.seconds ?? 0);
  }

  for (let steps = 0; undecided.size > 0; steps++) {
    const oid = queue.pop();
    if (oid === undefined) return false;
    undecided.delete(oid);
    // In the cache unless thousands of others came since.
    const commit = nodes.known(oid);
    if (commit === undefined || steps > MAX_STEPS) return undefined;
    const color = paint.get(oid) ?? 0;
    for (const parentOid of commit.parents) {
      const old = paint.get(parentOid) ?? 0;
      const now = old | color;
      if (now === old) continue;
      if (parentOid === ancestor) return true;
      const parent = nodes.known(parentOid) ?? (await read(parentOid));
      if (parent === undefined) return undefined;
      paint.set(parentOid, now);
      if (now === BOTH) undecided.delete(parentOid);
      else undecided.add(parentOid);
      queue.push(parentOid, parent.seconds ?? 0);
    }
  }
  return false;
}

/** Commits of the graph that are looked at; it takes about as long as git needs to start. */
const MAX_GRAPH_STEPS = 10_000;

/** The same with the help of the graph: commits that are newer than it are read until the walk has come to those that are in it. */
export async function reachesByGraph(
  nodes: CommitNodes,
  graph: CommitGraph,
  descendant: string,
  ancestor: string,
): Promise<boolean | undefined> {
  if (descendant === ancestor) return true;
  const seen = new Set([descendant]);
  const entries: number[] = [];
  let reads = 0;
  // Grows while it is gone through.
  for (const oid of seen) {
    const position = graph.positionOf(oid);
    if (position !== undefined) {
      entries.push(position);
      continue;
    }
    const commit = nodes.known(oid) ?? (reads++ < MAX_READS ? await nodes.read(oid) : undefined);
    if (commit === undefined || seen.size > MAX_STEPS) return undefined;
    for (const parent of commit.parents) seen.add(parent);
    if (seen.has(ancestor)) return true;
  }
  const target = graph.positionOf(ancestor);
  // What a commit of the graph reaches is in the graph.
  return target === undefined ? false : isReached(graph, entries, target);
}

function isReached(graph: CommitGraph, starts: readonly number[], target: number): boolean | undefined {
  const seen = new Set<number>();
  const waiting = [...starts];
  for (let position = waiting.pop(); position !== undefined; position = waiting.pop()) {
    if (position === target) return true;
    if (seen.has(position) || !graph.mayReach(position, target)) continue;
    const parents = graph.parentsOf(position);
    if (parents === undefined || seen.size >= MAX_GRAPH_STEPS) return undefined;
    seen.add(position);
    waiting.push(...parents);
  }
  return false;
}
