import { GitExitError } from '../command/exit-error.ts';
import { gitCommand } from '../command/git-command.ts';
import type { CommitNode } from '../history/commit-node.ts';
import { type CommitNodes, requireNotGrafted } from '../history/commit-nodes.ts';
import { DateQueue } from '../history/date-queue.ts';
import { FallBackToGit } from '../in-process.ts';
import type { GitRepository } from '../repository.ts';

interface Options {
  readonly signal?: AbortSignal | undefined;
}

/** Limit of steps; beyond it git is faster. */
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
  const [base, ...others] = await commonAncestors(requireNotGrafted(repository.commits), one, other);
  // Some of them may be ancestors of others.
  if (others.length > 0) throw new FallBackToGit('there are several merge bases');
  return base;
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
 * left, as git does without a commit-graph.
 */
async function commonAncestors(nodes: CommitNodes, one: string, other: string): Promise<string[]> {
  if (one === other) {
    if ((await nodes.read(one)) === undefined) throw unreadable();
    return [one];
  }
  const paint = new Map<string, number>();
  const queue = new DateQueue<CommitNode>();
  /** Queued entries whose commit is not stale; a commit may be queued several times. */
  const fresh = new Map<string, number>();
  let reads = 0;

  const see = async (oid: string, color: number): Promise<void> => {
    let node = nodes.known(oid);
    if (node === undefined && reads++ < MAX_READS) node = await nodes.read(oid);
    if (node?.seconds === undefined) throw unreadable();
    paint.set(oid, color);
    if ((color & STALE) === 0) fresh.set(oid, (fresh.get(oid) ?? 0) + 1);
    else fresh.delete(oid);
    queue.push(node, node.seconds);
  };
  const leave = (oid: string): void => {
    const count = fresh.get(oid) ?? 0;
    if (count > 1) fresh.set(oid, count - 1);
    else fresh.delete(oid);
  };

  await see(one, OURS);
  await see(other, THEIRS);
  const found: string[] = [];
  for (let steps = 0; fresh.size > 0; steps++) {
    const node = queue.pop();
    if (node === undefined) break;
    if (steps > MAX_STEPS) throw new FallBackToGit('the commits are far from each other');
    leave(node.oid);
    let color = paint.get(node.oid) ?? 0;
    let spread = color & (BOTH | STALE);
    if (spread === BOTH) {
      if ((color & FOUND) === 0) found.push(node.oid);
      color |= FOUND;
      paint.set(node.oid, color);
      spread |= STALE;
    }
    for (const parent of node.parents) {
      const old = paint.get(parent) ?? 0;
      if ((old & spread) === spread) continue;
      await see(parent, old | spread);
    }
  }
  return found.filter((oid) => ((paint.get(oid) ?? 0) & STALE) === 0);
}

function unreadable(): FallBackToGit {
  return new FallBackToGit('a commit cannot be read or is far away');
}
