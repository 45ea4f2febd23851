import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '#git/command/in-process';
import type { PathChanges } from '../path-changes.ts';
import type { CommitGraph } from './commit-graph.ts';
import type { CommitNode } from './commit-node.ts';
import type { CommitSource } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import type { PathKey } from './path-filters.ts';

/** Limits of commits: they take some 10 ms, for more, git is faster. */
const LIMITS = { commits: 100_000, newer: 500 };

export interface PathWalkOptions {
  readonly signal?: AbortSignal | undefined;
  readonly firstParent: boolean;
  /** Number of commits that are wanted. */
  readonly count: number;
  /** Leaves out commits with more parents; 0 means any number. */
  readonly maxParents: number;
  readonly changes: PathChanges;
}

/**
 * Lists the commits that change paths, as `walkRange` does from one start, with the filters of the
 * commit-graph: most commits are passed without being read. `undefined` without filters.
 *
 * @throws as walkRange.
 */
export async function walkPaths(
  nodes: CommitSource,
  start: string,
  { signal, firstParent, count, maxParents, changes }: PathWalkOptions,
): Promise<CommitNode[] | undefined> {
  const { graph } = nodes;
  const { keys } = changes;
  if (graph?.hasFilters !== true || keys === undefined) return undefined;
  const walk = new PathWalk(nodes, graph, keys);
  const slice = new LoopSlice();
  const listed: CommitNode[] = [];
  await walk.add(start);
  for (let walked = 0; listed.length < count; walked++) {
    const place = walk.next();
    if (place === undefined) break;
    if (walked === LIMITS.commits) throw new FallBackToGit('there are very many commits');
    if (slice.isOverAfterItem()) await slice.pause(signal);
    if (walk.passes(place)) continue;
    const node = walk.node(place);
    const treeOid = walk.treeOid(place);
    const same = await sameParent(walk, { treeOid, parents: node.parents }, { changes, firstParent });
    if (same === undefined && (maxParents === 0 || node.parents.length <= maxParents)) listed.push(node);
    const followed = same ?? (firstParent ? node.parents.slice(0, 1) : node.parents);
    for (const oid of followed) await walk.add(oid);
  }
  return listed;
}

/**
 * Returns the first parent that has the same files, as git follows it alone; an empty list for a
 * first commit without files, and `undefined` for a commit that is listed.
 */
async function sameParent(
  walk: PathWalk,
  { treeOid, parents }: Pick<CommitNode, 'treeOid' | 'parents'>,
  { changes, firstParent }: { readonly changes: PathChanges; readonly firstParent: boolean },
): Promise<readonly string[] | undefined> {
  if (parents.length === 0) return (await changes.differ(undefined, treeOid)) ? undefined : [];
  for (const oid of firstParent ? parents.slice(0, 1) : parents) {
    const parent = await walk.read(oid);
    if (!(await changes.differ(parent.treeOid, treeOid))) return [oid];
  }
  return undefined;
}

/**
 * A commit of a walk: its position in the graph, or above all positions the index of one that is
 * newer than the graph.
 */
type Place = number;

/** The commits that a walk has seen, and those whose parents it has not, newest first. */
class PathWalk {
  readonly #nodes: CommitSource;
  readonly #graph: CommitGraph;
  readonly #keys: readonly PathKey[][];
  readonly #queue = new DateQueue<Place>();
  /**
   * By position in the graph: 0 for a commit that was not seen, else the number behind the position
   * of a commit with the same files at the paths: its trees were read before.
   */
  readonly #sameAs: Uint32Array;
  readonly #newer = new Map<string, CommitNode>();
  readonly #newerAt: CommitNode[] = [];

  constructor(nodes: CommitSource, graph: CommitGraph, keys: readonly PathKey[][]) {
    this.#nodes = nodes;
    this.#graph = graph;
    this.#keys = keys;
    this.#sameAs = new Uint32Array(graph.size);
  }

  next(): Place | undefined {
    return this.#queue.pop();
  }

  /** Queues a commit, if it is new. */
  async add(oid: string): Promise<void> {
    const position = this.#graph.positionOf(oid);
    if (position !== undefined) return this.#addAt(position, position + 1);
    if (this.#newer.has(oid)) return;
    const node = await this.read(oid);
    if (node.seconds === undefined || this.#newer.size === LIMITS.newer) throw unreadable();
    this.#newer.set(oid, node);
    this.#queue.push(this.#graph.size + this.#newerAt.push(node) - 1, node.seconds);
  }

  /**
   * Queues the first parent of a commit of the graph, and nothing else, if the commit is known to
   * have the same files.
   */
  passes(place: Place): boolean {
    if (place >= this.#graph.size || !this.#graph.changesNone(place, this.#keys)) return false;
    const parents = this.#graph.parentsOf(place);
    if (parents === undefined) throw unreadable();
    const [first] = parents;
    if (first !== undefined) this.#addAt(first, this.#sameAs[place] ?? 0);
    return true;
  }

  node(place: Place): CommitNode {
    const { size } = this.#graph;
    return (place < size ? this.#graph.nodeAt(place) : this.#newerAt[place - size]) ?? unreadable();
  }

  /** Returns the tree of a commit, or another one with the same files at the paths. */
  treeOid(place: Place): string {
    const sameAs = this.#sameAs[place];
    return this.node(sameAs === undefined ? place : sameAs - 1).treeOid;
  }

  async read(oid: string): Promise<CommitNode> {
    return this.#newer.get(oid) ?? this.#nodes.known(oid) ?? (await this.#nodes.read(oid)) ?? unreadable();
  }

  #addAt(position: number, sameAs: number): void {
    if (this.#sameAs[position] !== 0) return;
    this.#sameAs[position] = sameAs;
    this.#queue.push(position, this.#graph.secondsAt(position));
  }
}

function unreadable(): never {
  throw new FallBackToGit('a commit cannot be read or is far away');
}
