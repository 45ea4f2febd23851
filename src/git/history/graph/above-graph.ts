import { FallBackToGit } from '#git/command/in-process';
import type { CommitGraph } from './commit-graph.ts';
import type { CommitNodes } from './commit-nodes.ts';

/** The way from commits that are newer than the commit-graph to the commits in it. */
export interface AboveGraph {
  /** The commits that the walk has met: newer ones, and the first ones in the graph. */
  readonly seen: ReadonlySet<string>;
  /** Positions of the reached commits in the graph. All other ancestors are ancestors of these. */
  readonly entries: readonly number[];
}

export interface AboveGraphLimits {
  /** Number of requests to read commits; each reads several. */
  readonly maxReads: number;
  readonly maxCommits: number;
}

/**
 * Walks from commits to those in the graph.
 *
 * @param until ends the walk when it meets this commit.
 * @throws {FallBackToGit} when a commit cannot be read, or there are very many.
 */
export async function walkToGraph(
  { nodes, graph }: { readonly nodes: CommitNodes; readonly graph: CommitGraph },
  starts: readonly string[],
  { maxReads, maxCommits }: AboveGraphLimits,
  until?: string,
): Promise<AboveGraph> {
  const seen = new Set(starts);
  const entries: number[] = [];
  let reads = 0;
  // It grows during the loop.
  for (const oid of seen) {
    const position = graph.positionOf(oid);
    if (position !== undefined) {
      entries.push(position);
      continue;
    }
    const commit = nodes.known(oid) ?? (reads++ < maxReads ? await nodes.read(oid) : undefined);
    if (commit === undefined || seen.size > maxCommits)
      throw new FallBackToGit('the commits are far from the commit-graph');
    for (const parent of commit.parents) seen.add(parent);
    if (until !== undefined && seen.has(until)) break;
  }
  return { seen, entries };
}
