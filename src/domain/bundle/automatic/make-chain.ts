import { randomUUID } from 'node:crypto';
import { referenceSettings } from '#domain/git-service/reference-settings';
import { diskUsage } from '#domain/history/disk-usage';
import { isAncestor } from '#git/history/graph/is-ancestor';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { PreconditionError } from '#object-store/store-error';
import type { Repository } from '#storage/repository';
import { bundleOf } from '../create-bundle.ts';
import { EmptyBundleError } from '../empty-bundle-error.ts';
import { openBundle } from '../open-bundle.ts';
import { type BundleChain, type ChainedBundle, nextBundle, withBundle } from './bundle-chain.ts';
import { bundleFolder, readChain, writeChain } from './chain-store.ts';

/** Longer than addresses are valid, and than most downloads take. */
export const RETIRED_KEPT_MS = 60 * 60 * 1000;
const CLEANUP_MS = 10_000;
const BRANCHES = Buffer.from('refs/heads/');
/** Ends the keys of bundles that are made here: token and UUID. */
const AUTOMATIC = /\/\d{1,16}-[0-9a-f-]{36}\.bundle$/;

export interface MakeChainOptions {
  readonly bucket: ObjectStore;
  readonly storageName: string;
  readonly maxAgeMs: number;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** The branch that bundles contain: the one that HEAD names. */
export interface OfferedBranch {
  readonly name: Buffer;
  readonly oid: string;
}

/**
 * Returns the branch of which a repository has bundles; `undefined` if it does not exist or is
 * hidden from fetches. Bundles contain no other references, and no hidden or internal ones.
 */
export async function offeredBranch(
  repository: Repository,
  signal: AbortSignal,
): Promise<OfferedBranch | undefined> {
  const name = await repository.refs.headTarget({ signal });
  if (!name.subarray(0, BRANCHES.length).equals(BRANCHES)) return undefined;
  // Settings that are not understood may hide it.
  const settings = referenceSettings(repository, 'upload-pack', []);
  if (settings === undefined || settings.hidden.has(name)) return undefined;
  const oid = (await repository.refs.resolve(name, { signal }))?.oid;
  return oid === undefined ? undefined : { name, oid };
}

/** Reports whether the branch still has all commits of a chain. */
export async function hasChain(
  repository: Repository,
  chain: BundleChain,
  { oid, signal }: { readonly oid: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const newest = chain.bundles.at(-1)?.oid ?? oid;
  return newest === oid || (await isAncestor(repository, { ancestor: newest, descendant: oid }, { signal }));
}

/**
 * Makes the next bundle of a repository, if it is due, and removes those that nothing offers.
 *
 * @returns the size of the new bundle; `undefined` if there is none.
 */
export async function makeNextBundle(
  repository: Repository,
  options: MakeChainOptions,
): Promise<number | undefined> {
  const { bucket, storageName, signal } = options;
  const branch = await offeredBranch(repository, signal);
  if (branch === undefined) return undefined;
  const folder = bundleFolder(repository, storageName);
  const { chain, condition } = await readChain(bucket, folder, signal);
  const kind = await kindOf(repository, { chain, branch, options });
  const made = kind === 'none' ? undefined : await make(repository, { kind, chain, branch, folder, options });
  const changed = made === undefined ? chain : withBundle(chain, { ...made, branch: branch.name.toString() });
  if (changed === undefined) return undefined;
  const { kept, removed } = splitRetired(changed, options.now());
  if (made === undefined && removed.length === 0) return undefined;
  const renewed = { ...changed, retired: kept };
  try {
    await writeChain(bucket, folder, { chain: renewed, onlyIf: condition, signal });
  } catch (error) {
    if (made !== undefined) await removeUnoffered(bucket, folder, made.bundle);
    if (error instanceof PreconditionError) return undefined; // another node of the cluster was faster
    throw error;
  }
  const orphans = made?.kind === 'full' ? await orphansIn(bucket, folder, renewed, options) : [];
  await bucket.delete([...removed, ...orphans], { signal });
  return made?.bundle.bytes;
}

/**
 * Removes a bundle of which the chain was not written, even if the work was aborted. The chain may
 * have it all the same: a write whose response was lost is repeated, and refused then.
 */
async function removeUnoffered(bucket: ObjectStore, folder: string, { key }: ChainedBundle): Promise<void> {
  const signal = AbortSignal.timeout(CLEANUP_MS);
  const { chain } = await readChain(bucket, folder, signal);
  if (chain?.bundles.some((bundle) => bundle.key === key) !== true) await bucket.delete([key], { signal });
}

/** Returns the keys of old bundles that no chain contains: a killed server has left them. */
async function orphansIn(
  bucket: ObjectStore,
  folder: string,
  { bundles, retired }: BundleChain,
  { now, signal }: MakeChainOptions,
): Promise<string[]> {
  const known = new Set([...bundles, ...retired].map(({ key }) => key));
  const found: string[] = [];
  for await (const page of bucket.list(`${folder}/`, { signal }))
    for (const { key, modifiedMs } of page)
      if (AUTOMATIC.test(key) && !known.has(key) && now() - modifiedMs >= RETIRED_KEPT_MS) found.push(key);
  return found;
}

interface NextFacts {
  readonly chain: BundleChain | undefined;
  readonly branch: OfferedBranch;
  readonly options: MakeChainOptions;
}

async function kindOf(repository: Repository, { chain, branch, options }: NextFacts) {
  const { maxAgeMs, now, signal } = options;
  const { oid } = branch;
  const newest = chain?.bundles.at(-1)?.oid;
  const isDescendant = chain !== undefined && (await hasChain(repository, chain, { oid, signal }));
  const grows = isDescendant && newest !== undefined && newest !== oid;
  const growthBytes = grows ? await growth(repository, { from: newest, to: oid }, signal) : 0;
  const facts = { nowMs: now(), branch: branch.name.toString(), oid, isDescendant, growthBytes, maxAgeMs };
  return nextBundle(chain, facts);
}

async function growth(
  repository: Repository,
  { from, to }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<number> {
  return Number(await diskUsage(repository, [Buffer.from(to), Buffer.from(`^${from}`)], signal));
}

/** Stores a bundle. @returns its facts; `undefined` if there was nothing new. */
async function make(
  repository: Repository,
  { kind, chain, branch, folder, options }: NextFacts & { kind: 'full' | 'increment'; folder: string },
): Promise<{ kind: 'full' | 'increment'; bundle: ChainedBundle } | undefined> {
  const { bucket, now, signal } = options;
  const newest = chain?.bundles.at(-1);
  const token = Math.max(Math.floor(now() / 1000), (newest?.token ?? 0) + 1);
  const key = `${folder}/${token}-${randomUUID()}.bundle`;
  const excluded = kind === 'increment' && newest !== undefined ? [Buffer.from(`^${newest.oid}`)] : [];
  try {
    const { head, rest } = await openBundle(bundleOf(repository, [branch.name, ...excluded], { signal }));
    const oid = tipOf(head);
    if (oid === undefined) throw new Error('the bundle has another reference than the branch');
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      yield head;
      yield* rest;
    };
    const bytes = await putUnlessEmpty(bucket, key, pieces(), { signal });
    return { kind, bundle: { token, key, oid, bytes, madeMs: now() } };
  } catch (error) {
    if (error instanceof EmptyBundleError) return undefined; // the branch was deleted meanwhile
    throw error;
  }
}

/** Returns the commit of the one reference in a bundle's header. */
function tipOf(head: Buffer): string | undefined {
  const lines = head.toString('latin1').split('\n').slice(1);
  const references = lines.filter((line) => /^[0-9a-f]{40,64} /.test(line));
  return references.length === 1 ? references[0]?.split(' ', 1)[0] : undefined;
}

function splitRetired(
  { retired }: BundleChain,
  nowMs: number,
): { kept: BundleChain['retired']; removed: readonly string[] } {
  const isKept = ({ retiredMs }: { retiredMs: number }): boolean => nowMs - retiredMs < RETIRED_KEPT_MS;
  const { true: kept = [], false: removed = [] } = Object.groupBy(retired, (each) => `${isKept(each)}`);
  return { kept, removed: removed.map(({ key }) => key) };
}
