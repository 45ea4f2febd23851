import { Limit } from '#base/limits/limit';
import { textPacket } from '#base/pkt-line/packet';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import type { CommitNode } from '#git/history/graph/commit-node';
import type { CommitSource } from '#git/history/graph/commit-nodes';
import { OID_BYTES } from '#git/names/object-id';
import { TagChains } from '#git/objects/tag-chains';
import { chooseCommits } from '#git/walk/choose-commits';
import { readNode } from '#git/walk/commit-range';
import { WantedObjects } from '#git/walk/wanted-objects';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import type { Fetch } from '../fetch.ts';
import type { FetchRequest } from '../request-parser.ts';
import { DeltaChains } from './delta-chains.ts';
import { DELIMITER, negotiate } from './negotiate.ts';
import { type PlacedObjects, placeObjects } from './placed-objects.ts';
import {
  existing,
  type NamedObjects,
  namedObjects,
  type WalkedRequest,
  walkedRequest,
} from './walked-request.ts';

/** A pack of objects that were found by walking. Disposing closes its files. */
export interface WalkedPack extends Disposable {
  /** Sections of the response before the pack. */
  readonly head: Buffer;
  readonly count: number;
  readonly placed: PlacedObjects;
  readonly chains: DeltaChains;
  readonly hasProgress: boolean;
}

/** For shallow clones, for which git searches deltas; the objects take 10 MB of memory. */
const LARGE = { maxCommits: 4_000, maxObjects: 50_000 };
/** For clients that have objects: git walks faster than this code, but starts twice. */
const SMALL = { maxCommits: 32, maxObjects: 400 };

/** For clients that have objects: git knows more bases that they have. */
const MAX_COMPRESSED_BYTES = 256 * 1024;
/** Trees of the client with which a commit without parents is compared. */
const MAX_NEAR = 4;

/** Each holds the ids of its objects in memory. */
const walks = new Limit<Storage>({ name: 'walks', capacity: 4 });

/**
 * Finds the objects for a request, and where the repository has them.
 *
 * @throws {FallBackToGit} when git has to serve it; the system's error; {GitalyError} of an abort.
 */
export async function findWalkedPack(
  fetch: Pick<Fetch, 'config' | 'repository'>,
  request: FetchRequest,
  signal: AbortSignal,
): Promise<WalkedPack> {
  const { repository } = fetch;
  const walked = walkedRequest(fetch, request);
  const { release } = await walks.acquire(repository.storage, { signal });
  try {
    const { head, objects } = await walk(repository, walked, signal).catch(fallBackOnFailure);
    const { filter, hasProgress, isThin } = walked.given;
    // A client with a filter may lack what its commits name.
    const chains = new DeltaChains(objects, isThin && filter === undefined);
    using opened = new DisposableStack();
    const oids = objects.wanted.keys();
    const placed = opened.use(await placeObjects(repository, { chains, oids }, signal));
    if (walked.given.haves.length > 0) await requireFew(repository, placed.others, signal);
    const kept = opened.move();
    return {
      head,
      count: objects.wanted.size,
      placed,
      chains,
      hasProgress,
      [Symbol.dispose]: () => kept.dispose(),
    };
  } finally {
    release();
  }
}

/** Checks that few bytes have to be compressed. */
async function requireFew(
  { objects }: Repository,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  for (const oid of oids) {
    bytes += (await objects.info(oid, { signal }))?.size ?? 0;
    if (bytes > MAX_COMPRESSED_BYTES) throw new FallBackToGit('many objects have to be compressed');
  }
}

interface Walked {
  readonly head: Buffer;
  readonly objects: WantedObjects;
}

async function walk(repository: Repository, request: WalkedRequest, signal: AbortSignal): Promise<Walked> {
  const { given, nodes, wants } = request;
  const { answer, common, isReady } = await negotiate(repository, request, signal);
  if (!isReady) throw new FallBackToGit('the repository has changed');
  const named = await namedObjects(repository, wants, signal);
  const shallow = new Set(await existing(repository, given.shallow, signal));
  const limits = common.length > 0 ? SMALL : LARGE;
  const client = { ...limits, wants: [...named.commits], haves: common, shallow, depth: given.depth };
  const chosen = await chooseCommits(nodes, client, signal);
  const omitsTrees = given.filter === 'tree:0';
  const objects = new WantedObjects({
    objects: repository.objects,
    oidBytes: OID_BYTES[repository.objectFormat],
    omitsFiles: given.filter !== undefined,
    maxObjects: limits.maxObjects,
    signal,
  });
  for (const { oid } of chosen.commits) objects.want(oid);
  if (!omitsTrees)
    await addTrees(objects, { nodes, haves: [...chosen.unshallow, ...common] }, chosen.commits);
  await addNamed(objects, named, omitsTrees);
  if (given.includesTags) await addTags(repository, objects, signal);
  const isShallow = given.depth !== undefined || shallow.size > 0;
  return { head: Buffer.concat([answer, ...(isShallow ? shallowInfo(chosen) : [])]), objects };
}

/** Adds the directories and files of commits, parents before children. */
async function addTrees(
  objects: WantedObjects,
  { haves, nodes }: { readonly haves: readonly string[]; readonly nodes: CommitSource },
  commits: readonly CommitNode[],
): Promise<void> {
  const trees = new Map(commits.map(({ oid, treeOid }) => [oid, treeOid]));
  const near: string[] = [];
  for (const have of haves.slice(0, MAX_NEAR)) near.push((await readNode(nodes, have)).treeOid);
  let last: readonly string[] = near;
  for (const { parents, treeOid } of commits) {
    const others: string[] = [];
    for (const parent of parents) others.push(trees.get(parent) ?? (await readNode(nodes, parent)).treeOid);
    await objects.add(treeOid, others.length > 0 ? others : last);
    last = [treeOid, ...near];
  }
}

async function addNamed(objects: WantedObjects, named: NamedObjects, omitsTrees: boolean): Promise<void> {
  for (const tag of named.tags) objects.want(tag);
  for (const tree of named.trees) {
    if (omitsTrees) objects.want(tree);
    else await objects.add(tree);
  }
  for (const blob of named.blobs) objects.want(blob);
}

/** Adds tags at objects that are sent, as git does for clients that want them. */
async function addTags(repository: Repository, objects: WantedObjects, signal: AbortSignal): Promise<void> {
  const { wanted } = objects;
  const chains = new TagChains(repository.objects, signal);
  for await (const tags of repository.refs.list({ patterns: ['refs/tags/'] }, { signal }))
    for (const { isPeelKnown, oid, peeledOid } of tags) {
      const isTag = peeledOid !== undefined || !isPeelKnown;
      if (!isTag || wanted.has(oid) || (peeledOid !== undefined && !wanted.has(peeledOid))) continue;
      const chain = await chains.follow(oid, peeledOid);
      if (wanted.has(chain.end)) for (const tag of chain.tags) objects.want(tag);
    }
}

function shallowInfo({ shallow, unshallow }: Record<'shallow' | 'unshallow', readonly string[]>): Buffer[] {
  return [
    textPacket('shallow-info\n'),
    ...shallow.map((oid) => textPacket(`shallow ${oid}`)),
    ...unshallow.map((oid) => textPacket(`unshallow ${oid}`)),
    DELIMITER,
  ];
}
