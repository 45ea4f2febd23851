import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '../command/in-process.ts';
import { childrenFirst } from '../history/graph/children-first.ts';
import { type CommitGraph, MAX_GENERATION } from '../history/graph/commit-graph.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import type { CommitSource } from '../history/graph/commit-nodes.ts';
import { walkRange } from '../history/graph/walk-range.ts';

/** Ends of a range of commits, as ids. */
export interface CommitRange {
  readonly wants: readonly string[];
  /** Commits that are left out with all that they reach. */
  readonly haves: readonly string[];
  /** Commits that are taken as if they had no parents. */
  readonly cut: ReadonlySet<string>;
  /** Limit of commits in the range. */
  readonly maxCommits: number;
}

/** Steps to excluded commits in the graph, in some milliseconds: back to the oldest side branch. */
const MAX_GRAPH_STEPS = 20_000;
/** Commits that are read, or stepped over, for one of the range. */
const PER_COMMIT = 2;

const WANTED = 1;
const EXCLUDED = 2;
const MANY = new FallBackToGit('there are very many commits');

/**
 * Lists the commits of a range, children before parents where a commit-graph has them, else by
 * date.
 *
 * @throws {FallBackToGit} when a commit cannot be read, or there are very many; {GitalyError} of an
 *   abort.
 */
export async function commitRange(
  nodes: CommitSource,
  range: CommitRange,
  signal: AbortSignal,
): Promise<CommitNode[]> {
  const { graph } = nodes;
  if (graph !== undefined) return await new GraphRange(nodes, graph, range).list(range, signal);
  const starts = [
    ...range.wants.map((oid) => ({ oid })),
    ...range.haves.map((oid) => ({ oid, isExcluded: true })),
  ];
  const { cut, maxCommits } = range;
  const limits = { maxCommits, maxSteps: PER_COMMIT * maxCommits, maxReads: PER_COMMIT * maxCommits };
  const listed = await walkRange(withoutParentsOf(nodes, cut), starts, { ...limits, signal });
  return listed.map(({ node }) => node);
}

/** Reads a commit. @throws {FallBackToGit} if that is not possible. */
export async function readNode(nodes: CommitSource, oid: string): Promise<CommitNode> {
  const node = nodes.known(oid) ?? (await nodes.read(oid));
  if (node === undefined) throw new FallBackToGit('a commit cannot be read');
  return node;
}

/** Returns the commits with those in a set as if they had no parents. */
function withoutParentsOf(nodes: CommitSource, cut: ReadonlySet<string>): CommitSource {
  if (cut.size === 0) return nodes;
  const cutNode = (node: CommitNode | undefined): CommitNode | undefined =>
    node !== undefined && cut.has(node.oid) ? { ...node, parents: [] } : node;
  return {
    graph: nodes.graph,
    known: (oid) => cutNode(nodes.known(oid)),
    read: async (oid) => cutNode(await nodes.read(oid)),
  };
}

/**
 * Finds a range with a commit-graph. Commits that are newer than the graph are walked first; in it,
 * commits come by their generation, so that all children of a commit come before it, whatever their
 * dates are.
 */
class GraphRange {
  readonly #nodes: CommitSource;
  readonly #graph: CommitGraph;
  readonly #cut: ReadonlySet<string>;
  readonly #cutPositions: ReadonlySet<number>;
  readonly #maxCommits: number;
  readonly #slice = new LoopSlice();
  /** Marks by position. */
  readonly #marks: Uint8Array;
  /** Positions that wait, by generation. */
  readonly #waiting: number[][] = [];
  #highest = 0;
  /** Number of waiting commits that are not excluded. */
  #wanted = 0;

  constructor(nodes: CommitSource, graph: CommitGraph, { cut, maxCommits }: CommitRange) {
    this.#maxCommits = maxCommits;
    this.#nodes = withoutParentsOf(nodes, cut);
    this.#graph = graph;
    this.#cut = cut;
    const positions = [...cut].map((oid) => graph.positionOf(oid));
    this.#cutPositions = new Set(positions.filter((position) => position !== undefined));
    this.#marks = new Uint8Array(graph.size);
  }

  async list({ haves, wants }: CommitRange, signal: AbortSignal): Promise<CommitNode[]> {
    const excluded = await this.#walkAbove(haves, EXCLUDED, new Map(), signal);
    const wanted = await this.#walkAbove(wants, WANTED, excluded, signal);
    const listed = [...wanted.values()].filter(({ oid }) => !excluded.has(oid));
    return [...childrenFirst(listed), ...(await this.#walkGraph(signal))];
  }

  /** Collects the commits above the graph that some reach, but for those of `others`. */
  async #walkAbove(
    starts: readonly string[],
    mark: number,
    others: ReadonlyMap<string, CommitNode>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, CommitNode>> {
    const found = new Map<string, CommitNode>();
    // It grows during the loop.
    for (const oid of new Set(starts).values()) await this.#visit(oid, { found, mark, others });
    for (const { parents } of found.values()) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(signal);
      for (const parent of parents) await this.#visit(parent, { found, mark, others });
    }
    return found;
  }

  async #visit(
    oid: string,
    {
      found,
      mark,
      others,
    }: {
      readonly found: Map<string, CommitNode>;
      readonly mark: number;
      readonly others: ReadonlyMap<string, CommitNode>;
    },
  ): Promise<void> {
    if (found.has(oid) || others.has(oid)) return;
    const position = this.#graph.positionOf(oid);
    if (position !== undefined) this.#mark(position, mark, MAX_GENERATION);
    else if (found.size >= PER_COMMIT * this.#maxCommits) throw MANY;
    else found.set(oid, await readNode(this.#nodes, oid));
  }

  async #walkGraph(signal: AbortSignal): Promise<CommitNode[]> {
    const listed: CommitNode[] = [];
    let steps = 0;
    for (let generation = this.#highest; generation > 0 && this.#wanted > 0; generation--) {
      if (this.#slice.isOverAfterItem()) await this.#slice.pause(signal);
      for (const position of this.#waiting[generation] ?? []) {
        if (this.#slice.isOverAfterItem()) await this.#slice.pause(signal);
        const marks = this.#marks[position] ?? 0;
        const isExcluded = (marks & EXCLUDED) !== 0;
        if (!isExcluded) {
          this.#wanted--;
          listed.push(this.#nodeAt(position));
        }
        if (this.#cutPositions.has(position)) continue;
        const parents = this.#graph.parentsOf(position);
        steps += parents?.length ?? 0;
        if (parents === undefined || steps > MAX_GRAPH_STEPS || listed.length > this.#maxCommits) throw MANY;
        for (const parent of parents) this.#mark(parent, isExcluded ? EXCLUDED : WANTED, generation);
      }
    }
    return listed;
  }

  /** @param limit above the generation of the commit. */
  #mark(position: number, mark: number, limit: number): void {
    const before = this.#marks[position] ?? 0;
    const now = before | mark;
    if (now === before) return;
    this.#marks[position] = now;
    if (before === 0) {
      const generation = this.#graph.generationAt(position);
      if (generation === 0 || generation >= limit)
        throw new FallBackToGit('a commit-graph has no generations');
      const same = this.#waiting[generation];
      if (same === undefined) this.#waiting[generation] = [position];
      else same.push(position);
      this.#highest = Math.max(this.#highest, generation);
      if (mark === WANTED) this.#wanted++;
    } else if (mark === EXCLUDED) this.#wanted--;
  }

  #nodeAt(position: number): CommitNode {
    const node = this.#graph.nodeAt(position);
    if (node === undefined) throw new FallBackToGit('a commit-graph is damaged');
    return this.#cut.has(node.oid) ? { ...node, parents: [] } : node;
  }
}
