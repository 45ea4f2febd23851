import { LoopSlice } from '#base/loop-turns';
import { FallBackToGit } from '../in-process.ts';
import type { CommitNode } from './commit-node.ts';
import type { CommitNodes } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';

/** A commit that a walk starts from. */
export interface RangeStart {
  readonly oid: string;
  /** True if all commits that it reaches are left out (`^main`). */
  readonly isExcluded?: boolean;
  /** True for the first of two sides: commits that it reaches are marked as its own. */
  readonly isLeft?: boolean;
}

/** A commit of a range. */
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
  /** Limit of commits in the range. */
  readonly maxCommits: number;
}

/** Limit of steps to parents, some milliseconds; for more, git is faster. */
const MAX_STEPS = 8_000;
/** Limit of reads, each of which reads several commits. */
const MAX_READS = 64;
const COMMITS_PER_LOOK = 128;
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
  nodes: CommitNodes,
  starts: readonly RangeStart[],
  { signal, firstParent = false, count = Number.POSITIVE_INFINITY, maxCommits }: RangeOptions,
): Promise<RangeCommit[]> {
  const walk = new RangeWalk(nodes);
  for (const start of starts) await walk.begin(start);
  const end = starts.some(({ isExcluded }) => isExcluded === true) ? Number.POSITIVE_INFINITY : count;
  const slice = new LoopSlice();
  const listed: Seen[] = [];
  let oldest = Number.POSITIVE_INFINITY;
  let slop = SLOP;
  let steps = 0;
  for (let walked = 1; listed.length < end && slop > 0; walked++) {
    const commit = walk.next();
    if (commit === undefined) break;
    steps += commit.node.parents.length;
    if (steps > MAX_STEPS || listed.length > maxCommits)
      throw new FallBackToGit('there are very many commits');
    if (walked % COMMITS_PER_LOOK === 0) await slice.pause(signal);
    const { parents, seconds = 0 } = commit.node;
    for (const parent of firstParent && !commit.isExcluded ? parents.slice(0, 1) : parents)
      if (!walk.seeKnown(parent, commit)) await walk.see(parent, commit);
    if (commit.isExcluded) {
      slop = walk.mayFind(oldest) ? SLOP : slop - 1;
    } else {
      listed.push(commit);
      oldest = seconds;
    }
  }
  const range = listed.filter(({ isExcluded }) => !isExcluded);
  if (range.length > maxCommits) throw new FallBackToGit('there are very many commits');
  return range;
}

/** A commit that was read. */
interface Seen {
  readonly node: CommitNode;
  isExcluded: boolean;
  isLeft: boolean;
  isQueued: boolean;
  /** True if its parents were excluded: once is enough. */
  hasExcludedParents: boolean;
}

/** The commits that a walk has seen, and those whose parents it has not, newest first. */
class RangeWalk {
  readonly #nodes: CommitNodes;
  readonly #seen = new Map<string, Seen>();
  /** Excluded commits that have not been seen. */
  readonly #excluded = new Set<string>();
  readonly #queue = new DateQueue<Seen>();
  /** Number of queued commits that are not excluded. */
  #wanted = 0;
  #reads = 0;

  constructor(nodes: CommitNodes) {
    this.#nodes = nodes;
  }

  async begin({ oid, isExcluded = false, isLeft = false }: RangeStart): Promise<void> {
    const node = this.#nodes.known(oid) ?? (await this.#read(oid));
    const commit = this.#seen.get(oid) ?? this.#add(node, { isExcluded, isLeft });
    commit.isLeft ||= isLeft;
    if (isExcluded) {
      this.#exclude(commit);
      this.#excludeParents(commit);
    }
  }

  /** Handles a parent as {@link see} does, if it need not be read; reports whether it did. */
  seeKnown(oid: string, child: Seen): boolean {
    const commit = this.#seen.get(oid);
    const node = commit?.node ?? this.#nodes.known(oid);
    if (node !== undefined) this.#see(node, child);
    return node !== undefined;
  }

  /** Marks a parent of a commit as the commit is marked, and queues it when it is new. */
  async see(oid: string, child: Seen): Promise<void> {
    this.#see(await this.#read(oid), child);
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

  /** Excludes the parents of a commit, and the ancestors behind those of them that were seen. */
  #excludeParents(commit: Seen): void {
    if (commit.hasExcludedParents) return;
    const waiting = [commit];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      next.hasExcludedParents = true;
      for (const oid of next.node.parents) {
        const parent = this.#seen.get(oid);
        if (parent === undefined) {
          this.#excluded.add(oid);
        } else if (!parent.isExcluded) {
          this.#exclude(parent);
          waiting.push(parent);
        }
      }
    }
  }

  async #read(oid: string): Promise<CommitNode> {
    const node = this.#reads++ < MAX_READS ? await this.#nodes.read(oid) : undefined;
    return node ?? unreadable();
  }
}

function unreadable(): never {
  throw new FallBackToGit('a commit cannot be read or is far away');
}
