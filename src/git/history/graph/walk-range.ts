import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '#git/command/in-process';
import type { PathChanges } from '../path-changes.ts';
import type { CommitNode } from './commit-node.ts';
import type { CommitSource } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';
import { walkPaths } from './walk-paths.ts';

/** A commit that a walk starts from. */
export interface RangeStart {
  readonly oid: string;
  /** True if all commits that it reaches are left out (`^main`). */
  readonly isExcluded?: boolean;
  /** True for the first of two sides: commits that it reaches are marked as its own. */
  readonly isLeft?: boolean;
}

export interface RangeCommit {
  readonly node: CommitNode;
  /** True if a left start reaches it. */
  readonly isLeft: boolean;
}

export interface RangeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Follows only the first parent of included commits. */
  readonly firstParent?: boolean;
  /** Number of commits that are wanted; a walk without exclusions ends there. */
  readonly count?: number | undefined;
  /** Leaves out commits with more parents; 0 means any number. */
  readonly maxParents?: number;
  /** Leaves out commits that change none of the paths, with the side branches git leaves out. */
  readonly changes?: PathChanges | undefined;
  /**
   * Commits that git has read before the walk: once one of them is excluded, its parents are, too,
   * which matters where dates are wrong.
   */
  readonly read?: readonly CommitNode[];
  /** Falls back if wrong dates make the walk list a commit before it is found to be excluded. */
  readonly needsDateOrder?: boolean;
  /** Limit of commits in the range. */
  readonly maxCommits: number;
  /** Limit of steps to parents; by default some milliseconds, for more, git is faster. */
  readonly maxSteps?: number;
  /** Limit of reads, each of which reads several commits. */
  readonly maxReads?: number;
}

const MAX_STEPS = 8_000;
const MAX_READS = 64;
/** Further commits that are looked at where dates are wrong, as in git. */
const SLOP = 5;

/**
 * Lists the commits that the starts reach, without those that the excluded starts reach, newest
 * first; of several with the same date the one that was seen first. Order and contents are those of
 * `git rev-list`, also where dates are wrong: like git, the walk ends when it has met only excluded
 * commits for a while.
 *
 * @throws {FallBackToGit} when a commit that git would check cannot be read or has an invalid date,
 *   and when the walk is long; the signal's reason.
 */
export async function walkRange(
  nodes: CommitSource,
  starts: readonly RangeStart[],
  options: RangeOptions,
): Promise<RangeCommit[]> {
  const {
    signal,
    firstParent = false,
    count = Number.POSITIVE_INFINITY,
    maxCommits,
    maxParents = 0,
    maxReads = MAX_READS,
    maxSteps = MAX_STEPS,
    read = [],
  } = options;
  if (options.changes !== undefined && starts.length === 1 && starts[0]?.isExcluded !== true) {
    const { changes } = options;
    const { oid = '', isLeft = false } = starts[0] ?? {};
    const wanted = Math.min(count, maxCommits + 1);
    const found = await walkPaths(nodes, oid, { signal, firstParent, count: wanted, maxParents, changes });
    if (found !== undefined && found.length > maxCommits) throw tooMany();
    if (found !== undefined) return found.map((node) => ({ node, isLeft }));
  }
  const walk = new RangeWalk(nodes, read, maxReads);
  // git has read all of them before it excludes the parents of the first.
  for (const { oid } of starts) await walk.parse(oid);
  for (const start of starts) await walk.begin(start);
  const end = starts.some(({ isExcluded }) => isExcluded === true) ? Number.POSITIVE_INFINITY : count;
  const slice = new LoopSlice();
  const listed: Seen[] = [];
  let oldest = Number.POSITIVE_INFINITY;
  let slop = SLOP;
  let steps = 0;
  while (listed.length < end && slop > 0) {
    const commit = walk.next();
    if (commit === undefined) break;
    steps += commit.node.parents.length;
    if (steps > maxSteps || listed.length > maxCommits) throw tooMany();
    if (slice.isOverAfterItem()) await slice.pause(signal);
    if (options.changes !== undefined && !commit.isExcluded)
      await simplify(commit, { walk, changes: options.changes, firstParent });
    const { parents, node } = commit;
    for (const parent of firstParent && !commit.isExcluded ? parents.slice(0, 1) : parents)
      if (!walk.seeKnown(parent, commit)) await walk.see(parent, commit);
    if (commit.isExcluded) {
      slop = walk.mayFind(oldest) ? SLOP : slop - 1;
    } else {
      oldest = node.seconds ?? 0;
      const isListed = !commit.isSame && (maxParents === 0 || node.parents.length <= maxParents);
      if (isListed) listed.push(commit);
    }
  }
  const range = listed.filter(({ isExcluded }) => !isExcluded);
  if (options.needsDateOrder === true && range.length < listed.length)
    throw new FallBackToGit('commits are newer than their children');
  if (range.length > maxCommits) throw tooMany();
  return range;
}

/**
 * Leaves out the parents of a commit that git does not follow, and finds out if the commit itself
 * is left out, as git's default mode does: of several parents only the first one with the same
 * files is followed, and a commit that has one is left out.
 *
 * A parent that is excluded already, other than by its own name, is never followed instead of the
 * others: git checks only whether the commit differs from one that is not. Which parents are
 * excluded depends on how far the walk has come, as it does in git.
 *
 * @see git: try_to_simplify_commit in revision.c
 */
async function simplify(
  commit: Seen,
  {
    walk,
    changes,
    firstParent,
  }: { readonly walk: RangeWalk; readonly changes: PathChanges; readonly firstParent: boolean },
): Promise<void> {
  const { treeOid, parents } = commit.node;
  const isFirstSame = walk.isFirstSame(commit, changes);
  if (parents.length === 0) commit.isSame = isFirstSame || !(await changes.differ(undefined, treeOid));
  let relevant = 0;
  const differs = { relevant: false, irrelevant: false };
  for (const [index, oid] of parents.entries()) {
    const isRelevant = walk.isRelevant(oid);
    if (isRelevant) relevant++;
    // git counts the second parent even if it looks at the first one only.
    if (index === 1 && firstParent) break;
    const parent = await walk.parse(oid);
    const isSame = index === 0 && isFirstSame;
    if (!isSame && (await changes.differ(parent.treeOid, treeOid))) {
      differs[isRelevant ? 'relevant' : 'irrelevant'] = true;
    } else if (isRelevant) {
      commit.parents = [oid];
      commit.isSame = true;
      return;
    }
  }
  if (parents.length > 0) commit.isSame = relevant > 0 ? !differs.relevant : !differs.irrelevant;
}

/** A commit that was read. */
interface Seen {
  readonly node: CommitNode;
  /** Those that git follows. */
  parents: readonly string[];
  /** True if it changes none of the paths. */
  isSame: boolean;
  isExcluded: boolean;
  isLeft: boolean;
  isQueued: boolean;
  /** True if its parents were excluded: once is enough. */
  hasExcludedParents: boolean;
}

/** The commits that a walk has seen, and those whose parents it has not, newest first. */
class RangeWalk {
  readonly #nodes: CommitSource;
  readonly #seen = new Map<string, Seen>();
  /** Excluded commits that have not been seen. */
  readonly #excluded = new Set<string>();
  /** Commits that were excluded by their names. */
  readonly #bottom = new Set<string>();
  /** Commits that were compared, some of them without being seen. */
  readonly #parsed = new Map<string, CommitNode>();
  readonly #queue = new DateQueue<Seen>();
  /** Number of queued commits that are not excluded. */
  #wanted = 0;
  #readsLeft: number;

  constructor(nodes: CommitSource, read: readonly CommitNode[], maxReads: number) {
    this.#nodes = nodes;
    this.#readsLeft = maxReads;
    for (const node of read) this.#parsed.set(node.oid, node);
  }

  async begin({ oid, isExcluded = false, isLeft = false }: RangeStart): Promise<void> {
    const node = await this.parse(oid);
    const commit = this.#seen.get(oid) ?? this.#add(node, { isExcluded, isLeft });
    commit.isLeft ||= isLeft;
    if (isExcluded) {
      this.#bottom.add(oid);
      this.#exclude(commit);
      this.#excludeParents(commit);
    }
  }

  /** Reports whether a commit is in the range as far as is known, or one of its named ends. */
  isRelevant(oid: string): boolean {
    const isExcluded = this.#seen.get(oid)?.isExcluded ?? this.#excluded.has(oid);
    return !isExcluded || this.#bottom.has(oid);
  }

  /** Reads a commit to compare it. From then on its parents are excluded when it is. */
  async parse(oid: string): Promise<CommitNode> {
    const known = this.#seen.get(oid)?.node ?? this.#parsed.get(oid);
    if (known !== undefined) return known;
    const node = this.#nodes.known(oid) ?? (await this.#read(oid));
    this.#parsed.set(oid, node);
    return node;
  }

  /** Handles a parent as {@link see} does, if it need not be read; reports whether it did. */
  seeKnown(oid: string, child: Seen): boolean {
    const commit = this.#seen.get(oid);
    const node = commit?.node ?? this.#parsed.get(oid) ?? this.#nodes.known(oid);
    if (node !== undefined) this.#see(node, child);
    return node !== undefined;
  }

  /** Marks a parent of a commit as the commit is marked, and queues it when it is new. */
  async see(oid: string, child: Seen): Promise<void> {
    this.#see(await this.#read(oid), child);
  }

  /** Reports whether a commit is known to change none of the paths of its first parent. */
  isFirstSame({ node: { oid } }: Seen, { keys }: PathChanges): boolean {
    const { graph } = this.#nodes;
    if (graph?.hasFilters !== true || keys === undefined) return false;
    const position = graph.positionOf(oid);
    return position !== undefined && graph.changesNone(position, keys);
  }

  next(): Seen | undefined {
    const commit = this.#queue.pop();
    if (commit === undefined) return undefined;
    commit.isQueued = false;
    if (!commit.isExcluded) this.#wanted--;
    return commit;
  }

  /** Reports whether the walk may find a commit of the range, or exclude one as old as a date. */
  mayFind(oldest: number): boolean {
    const { newest } = this.#queue;
    return newest !== undefined && (this.#wanted > 0 || newest >= oldest);
  }

  #see(node: CommitNode, child: Seen): void {
    const known = this.#seen.get(node.oid);
    if (child.isExcluded) {
      const commit = known ?? this.#add(node, { isExcluded: true, isLeft: false });
      this.#exclude(commit);
      this.#excludeParents(commit);
    } else {
      const commit = known ?? this.#add(node, { isExcluded: false, isLeft: false });
      commit.isLeft ||= child.isLeft;
    }
  }

  #add(node: CommitNode, marks: { readonly isExcluded: boolean; readonly isLeft: boolean }): Seen {
    if (node.seconds === undefined) throw unreadable();
    const isExcluded = marks.isExcluded || this.#excluded.has(node.oid);
    const commit: Seen = {
      node,
      parents: node.parents,
      isSame: false,
      isExcluded,
      isLeft: marks.isLeft,
      isQueued: true,
      hasExcludedParents: false,
    };
    this.#seen.set(node.oid, commit);
    if (!isExcluded) this.#wanted++;
    this.#queue.push(commit, node.seconds);
    return commit;
  }

  #exclude(commit: Seen): void {
    if (!commit.isExcluded && commit.isQueued) this.#wanted--;
    commit.isExcluded = true;
  }

  /** Excludes the parents of a commit, and the ancestors behind those of them that were read. */
  #excludeParents(commit: Seen): void {
    if (commit.hasExcludedParents) return;
    commit.hasExcludedParents = true;
    const waiting = [...commit.parents];
    for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
      const parent = this.#seen.get(oid);
      if (parent === undefined) {
        if (this.#excluded.has(oid)) continue;
        this.#excluded.add(oid);
        waiting.push(...(this.#parsed.get(oid)?.parents ?? []));
      } else if (!parent.isExcluded) {
        this.#exclude(parent);
        parent.hasExcludedParents = true;
        waiting.push(...parent.parents);
      }
    }
  }

  async #read(oid: string): Promise<CommitNode> {
    const node = this.#readsLeft-- > 0 ? await this.#nodes.read(oid) : undefined;
    return node ?? unreadable();
  }
}

function tooMany(): FallBackToGit {
  return new FallBackToGit('there are very many commits');
}

function unreadable(): never {
  throw new FallBackToGit('a commit cannot be read or is far away');
}
