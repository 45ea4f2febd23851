import { LoopSlice } from '#base/async/loop-turns';
import { gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { GitExitError } from '#git/command/process/exit-error';
import type { GitRepository } from '#git/repository';
import type { CommitNode } from './commit-node.ts';
import { type CommitNodes, requireNotGrafted } from './commit-nodes.ts';
import { DateQueue } from './date-queue.ts';

interface Options {
  readonly signal?: AbortSignal | undefined;
}

/** Limit of steps from commits to parents; beyond it git is faster. */
const MAX_STEPS = 4_000;
/** Limit of requests to git, each of which reads several commits. */
const MAX_READS = 64;

const OURS = 1;
const THEIRS = 2;
const BOTH = OURS | THEIRS;
/** Ancestor of a common commit. */
const STALE = 4;
const FOUND = 8;

/**
 * Returns the best common ancestor of two commits, as `git merge-base` prints it (of several
 * equally good ones the first); `undefined` if they have nothing in common.
 *
 * @param one full id, as `other`.
 * @throws {GitExitError} when a commit is missing.
 */
export async function mergeBase(
  repository: GitRepository,
  one: string,
  other: string,
  options: Options = {},
): Promise<string | undefined> {
  return await repository.inProcess.attempt(
    'merge_base',
    async () => await nearMergeBase(repository, one, other),
    () => askGit(repository, { one, other }, options),
  );
}

/**
 * Returns the only best common ancestor of two commits without starting git; `undefined` when they
 * have nothing in common. For use inside an attempt.
 *
 * @throws {FallBackToGit} when there are several, or they are far away.
 */
export async function nearMergeBase(
  repository: GitRepository,
  one: string,
  other: string,
): Promise<string | undefined> {
  return (await nearMergeBaseAndRead(repository, one, other)).base;
}

/**
 * Returns the result of {@link nearMergeBase} and the commits that were read for it. @throws as
 * {@link nearMergeBase}.
 */
export async function nearMergeBaseAndRead(
  repository: GitRepository,
  one: string,
  other: string,
): Promise<{ readonly base: string | undefined; readonly read: readonly CommitNode[] }> {
  const { bases, read } = await commonAncestors(requireNotGrafted(repository.commits), one, other);
  // Some of them may be ancestors of others.
  if (bases.length > 1) throw new FallBackToGit('there are several merge bases');
  return { base: bases[0], read };
}

/** Best common ancestors, some of which may be ancestors of others, and the commits that were read. */
interface CommonAncestors {
  readonly bases: readonly string[];
  readonly read: readonly CommitNode[];
}

async function askGit(
  repository: GitRepository,
  { one, other }: { readonly one: string; readonly other: string },
  { signal }: Options,
): Promise<string | undefined> {
  try {
    const output = await repository.run(gitCommand('merge-base', { revisions: [one, other] }), { signal });
    return output.toString('latin1').trimEnd();
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1) return undefined;
    throw error;
  }
}

/**
 * Paints the histories of both commits, newest first, until only ancestors of common commits are
 * left, as git does without a commit-graph, in slices of the event loop.
 */
async function commonAncestors(nodes: CommitNodes, one: string, other: string): Promise<CommonAncestors> {
  if (one === other) {
    const node = await nodes.read(one);
    if (node === undefined) throw unreadable();
    return { bases: [one], read: [node] };
  }
  const walk = new PaintedHistory();
  let reads = 0;
  const read = async (oid: string): Promise<CommitNode> => {
    const node = reads++ < MAX_READS ? await nodes.read(oid) : undefined;
    if (node === undefined) throw unreadable();
    return node;
  };
  // Waiting for each known commit would take most of the time.
  for (const [oid, color] of [[one, OURS] as const, [other, THEIRS] as const])
    walk.see(walk.seen(oid) ?? walk.add(nodes.known(oid) ?? (await read(oid))), color);
  const found: Painted[] = [];
  const slice = new LoopSlice();
  let steps = 0;
  while (walk.fresh > 0) {
    if (slice.isOverAfterItem()) await slice.pause();
    const commit = walk.next();
    if (commit === undefined) break;
    steps += Math.max(1, commit.node.parents.length);
    if (steps > MAX_STEPS) throw new FallBackToGit('the commits are far from each other');
    let spread = commit.color & (BOTH | STALE);
    if (spread === BOTH) {
      if ((commit.color & FOUND) === 0) found.push(commit);
      commit.color |= FOUND;
      spread |= STALE;
    }
    for (const parent of commit.node.parents) {
      const seen = walk.seen(parent);
      if (seen !== undefined && (seen.color & spread) === spread) continue;
      walk.see(seen ?? walk.add(nodes.known(parent) ?? (await read(parent))), spread);
    }
  }
  const bases = found.filter(({ color }) => (color & STALE) === 0).map(({ node }) => node.oid);
  return { bases, read: walk.nodes() };
}

/** A commit of the walk. */
interface Painted {
  readonly node: CommitNode;
  readonly seconds: number;
  color: number;
  /** Number of its entries in the queue, if it is not stale; a commit may be queued several times. */
  queued: number;
}

/** The commits that a walk has seen, and those whose parents it has not, newest first. */
class PaintedHistory {
  /** Number of queued entries that are not stale. */
  fresh = 0;
  readonly #commits = new Map<string, Painted>();
  readonly #queue = new DateQueue<Painted>();

  nodes(): CommitNode[] {
    return Array.from(this.#commits.values(), ({ node }) => node);
  }

  seen(oid: string): Painted | undefined {
    return this.#commits.get(oid);
  }

  /** Adds a commit that was not seen. @throws {FallBackToGit} for one without a date. */
  add(node: CommitNode): Painted {
    const { seconds } = node;
    if (seconds === undefined) throw unreadable();
    const commit = { node, seconds, color: 0, queued: 0 };
    this.#commits.set(node.oid, commit);
    return commit;
  }

  /** Adds colours to a commit, and queues it. */
  see(commit: Painted, colors: number): void {
    commit.color |= colors;
    if ((commit.color & STALE) === 0) {
      commit.queued++;
      this.fresh++;
    } else {
      this.fresh -= commit.queued;
      commit.queued = 0;
    }
    this.#queue.push(commit, commit.seconds);
  }

  next(): Painted | undefined {
    const commit = this.#queue.pop();
    if (commit !== undefined && commit.queued > 0) {
      commit.queued--;
      this.fresh--;
    }
    return commit;
  }
}

function unreadable(): FallBackToGit {
  return new FallBackToGit('a commit cannot be read or is far away');
}
