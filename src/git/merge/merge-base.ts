import { GitExitError } from '../command/exit-error.ts';
import { gitCommand } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { CommitNode } from '../history/commit-node.ts';
import type { CommitNodes } from '../history/commit-nodes.ts';
import { DateQueue } from '../history/date-queue.ts';
import { orLeaveToGit } from '../history/leave-to-git.ts';
import type { GitRepository } from '../repository.ts';

interface Options {
  readonly signal?: AbortSignal | undefined;
}

/** Beyond this git is quicker. */
const MAX_STEPS = 4_000;
/** Trips to git, each of which reads several commits. */
const MAX_READS = 64;

const OURS = 1;
const THEIRS = 2;
const BOTH = OURS | THEIRS;
/** Behind a commit that both reach. */
const STALE = 4;
const FOUND = 8;

/**
 * The best common ancestor of two commits, as `git merge-base` prints it (of several equally good ones the first); `undefined` when they
 * have nothing in common.
 *
 * @param one full id, as `other`.
 * @throws {GitExitError} when a commit is missing.
 */
export async function mergeBase(
  git: Git,
  repository: GitRepository,
  one: string,
  other: string,
  options: Options = {},
): Promise<string | undefined> {
  const near = await nearMergeBases(git, repository, one, other, options);
  if (near !== undefined && near.length <= 1) return near[0];
  try {
    const output = await git.run(gitCommand('merge-base', { args: [one, other] }), { repository, signal: options.signal });
    return output.toString('latin1').trimEnd();
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1) return undefined;
    throw error;
  }
}

/**
 * Common ancestors found without starting git; `undefined` when they are far away or only git can tell. Several are candidates: some may be
 * ancestors of others.
 */
export async function nearMergeBases(
  git: Git,
  repository: GitRepository,
  one: string,
  other: string,
  { signal }: Options = {},
): Promise<string[] | undefined> {
  const nodes = git.commitNodes(repository);
  if (nodes.areGrafted) return undefined;
  return await orLeaveToGit(() => commonAncestors(nodes, one, other), signal);
}

/**
 * Paints the histories of both commits, newest first, until all that is left to look at lies behind common commits, as git does when
 * it has no commit-graph.
 */
async function commonAncestors(nodes: CommitNodes, one: string, other: string): Promise<string[] | undefined> {
  if (one === other) return (await nodes.read(one)) === undefined ? undefined : [one];
  const paint = new Map<string, number>();
  const queue = new DateQueue<CommitNode>();
  /** Queued entries whose commit is not stale; a commit may be queued several times. */
  const fresh = new Map<string, number>();
  let reads = 0;

  const see = async (oid: string, color: number): Promise<boolean> => {
    let node = nodes.known(oid);
    if (node === undefined && reads++ < MAX_READS) node = await nodes.read(oid);
    if (node?.seconds === undefined) return false;
    paint.set(oid, color);
    if ((color & STALE) === 0) fresh.set(oid, (fresh.get(oid) ?? 0) + 1);
    else fresh.delete(oid);
    queue.push(node, node.seconds);
    return true;
  };
  const leave = (oid: string): void => {
    const count = fresh.get(oid) ?? 0;
    if (count > 1) fresh.set(oid, count - 1);
    else fresh.delete(oid);
  };

  if (!(await see(one, OURS)) || !(await see(other, THEIRS))) return undefined;
  const found: string[] = [];
  for (let steps = 0; fresh.size > 0; steps++) {
    const node = queue.pop();
    if (node === undefined) break;
    if (steps > MAX_STEPS) return undefined;
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
      if (!(await see(parent, old | spread))) return undefined;
    }
  }
  return found.filter((oid) => ((paint.get(oid) ?? 0) & STALE) === 0);
}
