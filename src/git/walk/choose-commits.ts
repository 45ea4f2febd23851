import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '../command/in-process.ts';
import { childrenFirst } from '../history/graph/children-first.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import type { CommitSource } from '../history/graph/commit-nodes.ts';
import { commitRange, readNode } from './commit-range.ts';

/** The commits that a client wants and has, as ids. */
export interface CommitsOfClient {
  readonly wants: readonly string[];
  readonly haves: readonly string[];
  /** Commits whose parents the client lacks. */
  readonly shallow: ReadonlySet<string>;
  /** Number of generations that are wanted; absent for all. */
  readonly depth: number | undefined;
  /** Limit of commits that the client lacks. */
  readonly maxCommits: number;
}

/** The commits that a client lacks. */
export interface ChosenCommits {
  /** Parents before children. Those of the last generation have no parents. */
  readonly commits: readonly CommitNode[];
  /** Commits whose parents are not sent, although they are asked for. */
  readonly shallow: readonly string[];
  /** Earlier ones of the client whose parents are sent. */
  readonly unshallow: readonly string[];
}

/** Commits between wanted ones and those of a client. */
const MAX_WALKED = 1_000;

/**
 * Chooses the commits that a client lacks, as git does.
 *
 * @throws {FallBackToGit} when a commit cannot be read, or there are very many; {GitalyError} of an
 *   abort.
 */
export async function chooseCommits(
  nodes: CommitSource,
  { depth, haves, maxCommits, shallow, wants }: CommitsOfClient,
  signal: AbortSignal,
): Promise<ChosenCommits> {
  const limit =
    depth === undefined ? undefined : await withinDepth(nodes, wants, { depth, maxCommits, signal });
  const unshallow = limit === undefined ? [] : [...shallow].filter((oid) => limit.inner.has(oid));
  const newShallow = [...(limit?.last ?? [])].filter((oid) => !shallow.has(oid));
  const starts = new Set(wants);
  for (const oid of unshallow) for (const parent of (await readNode(nodes, oid)).parents) starts.add(parent);
  // The client goes on without the parents of these commits while they are sent.
  const cut = new Set([...shallow, ...newShallow]);
  const range = { wants: [...starts], haves: [...haves, ...unshallow], cut, maxCommits };
  const commits = childrenFirst(await commitRange(nodes, range, signal)).reverse();
  return { commits, shallow: newShallow, unshallow };
}

/**
 * Reports whether each wanted commit leads to one that the client has, or to a parent of one. Like
 * git, it does not look beyond commits that are older than all of the client's.
 *
 * @throws as {@link chooseCommits}.
 */
export async function allLeadTo(
  nodes: CommitSource,
  { haves, wants }: Pick<CommitsOfClient, 'haves' | 'wants'>,
  signal: AbortSignal,
): Promise<boolean> {
  const ends = new Set<string>(haves);
  let oldest = Number.POSITIVE_INFINITY;
  for (const have of haves) {
    const { parents, seconds = 0 } = await readNode(nodes, have);
    for (const parent of parents) ends.add(parent);
    oldest = Math.min(oldest, seconds);
  }
  const slice = new LoopSlice();
  const children = new Map<string, string[]>();
  const leading = new Set<string>();
  // Both grow during their loops.
  const [starts, waiting] = [new Set(wants), new Set(wants)];
  for (const oid of waiting) {
    if (slice.isOverAfterItem()) await slice.pause(signal);
    if (waiting.size > MAX_WALKED) throw new FallBackToGit('there are very many commits');
    const { parents, seconds = 0 } = await readNode(nodes, oid);
    if (ends.has(oid)) leading.add(oid);
    else if (seconds >= oldest || starts.has(oid))
      for (const parent of parents) {
        if (!children.get(parent)?.push(oid)) children.set(parent, [oid]);
        waiting.add(parent);
      }
  }
  for (const oid of leading) for (const child of children.get(oid) ?? []) leading.add(child);
  return wants.every((want) => leading.has(want));
}

/** Commits near wanted ones. */
interface Depth {
  /** Those whose parents are near as well. */
  readonly inner: ReadonlySet<string>;
  /** Those of the last generation. */
  readonly last: ReadonlySet<string>;
}

async function withinDepth(
  nodes: CommitSource,
  wants: readonly string[],
  {
    depth,
    maxCommits,
    signal,
  }: { readonly depth: number; readonly maxCommits: number; readonly signal: AbortSignal },
): Promise<Depth> {
  const slice = new LoopSlice();
  const inner = new Set<string>();
  let last = new Set(wants);
  for (let generation = 1; generation < depth && last.size > 0; generation++) {
    const next = new Set<string>();
    for (const oid of last) inner.add(oid);
    for (const oid of last) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      for (const parent of (await readNode(nodes, oid)).parents) if (!inner.has(parent)) next.add(parent);
    }
    if (inner.size + next.size > maxCommits) throw new FallBackToGit('there are very many commits');
    last = next;
  }
  return { inner, last };
}
