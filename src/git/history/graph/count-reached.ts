import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '#git/command/in-process';
import { walkToGraph } from './above-graph.ts';
import type { CommitGraph } from './commit-graph.ts';
import type { CommitNodes } from './commit-nodes.ts';

/** Limits of commits that are newer than the graph. */
const LIMITS = { maxReads: 64, maxCommits: 2_000 };
/** Parents of one commit, which may have 100,000, that take as long as many commits. */
const MANY_PARENTS = 64;

/**
 * Counts the commits that some commits reach, with the positions of the graph where it has them.
 *
 * @throws {FallBackToGit} when a commit cannot be read, or many are newer than the graph; the
 *   signal's reason.
 */
export async function countReached(
  place: { readonly nodes: CommitNodes; readonly graph: CommitGraph },
  starts: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<number> {
  const { seen, entries } = await walkToGraph(place, starts, LIMITS);
  return seen.size - entries.length + (await countInGraph(place.graph, entries, signal));
}

/** Counts the commits of a graph that some positions reach. */
async function countInGraph(
  graph: CommitGraph,
  starts: readonly number[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const isCounted = new Uint8Array(graph.size);
  const waiting = [...starts];
  const slice = new LoopSlice();
  let count = 0;
  for (let position = waiting.pop(); position !== undefined; position = waiting.pop()) {
    if (isCounted[position] === 1) continue;
    const parents = graph.parentsOf(position);
    if (parents === undefined) throw new FallBackToGit('the commit-graph is damaged');
    isCounted[position] = 1;
    count++;
    if (slice.isOverAfterItem() || parents.length > MANY_PARENTS) await slice.pause(signal);
    for (const parent of parents) if (isCounted[parent] !== 1) waiting.push(parent);
  }
  return count;
}
