import { GitalyError } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import type { Chain } from '#generations/chain/chain';
import type { ChainState } from '#generations/chain/chain-state';
import { checkpointsOf } from '#generations/chain/past-state';
import { ProtocolError } from '#generations/errors';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { initializeRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { createTempDirectory } from '#storage/temp-directories';
import { type ArchiveBucket, chainOf, DamagedPackError, readPack } from '../bucket/archive-bucket.ts';
import { archivedPaths } from '../bucket/archived-paths.ts';
import { borrowedIds, SETTING } from '../capture/capture-settings.ts';
import { archivedLfsIds } from '../lfs/lfs-ids.ts';
import type { ArchivedLfsStore } from '../lfs/lfs-store.ts';
import { LfsVerification } from '../lfs/verify-lfs-files.ts';
import { fillDraft } from '../restore/fill-draft.ts';

/** A repository of an archive whose objects were read back. */
export interface VerifiedRepository {
  readonly path: string;
  /** Number of the last generation; 0 if the chain cannot be read. */
  readonly generation: number;
  /** Number of packs that were read, and their bytes. */
  readonly packs: number;
  readonly bytes: number;
  /** True if it was restored to a temporary directory, and git has checked it. */
  readonly isChecked: boolean;
  readonly problems: readonly string[];
  /** True if the problems were repaired from the repository on the disk. */
  readonly isRepaired: boolean;
}

/** The damage of a repository in an archive: packs, or the chain itself. */
export interface Damage {
  readonly packs: readonly string[];
  readonly isOfChain: boolean;
  /** Ids of repositories in the archive that it borrows from, and that cannot be read. */
  readonly lenders: readonly string[];
}

export interface VerifyOptions {
  readonly bucket: ArchiveBucket;
  readonly storages: Storages;
  readonly storage: Storage;
  readonly lfs: ArchivedLfsStore | undefined;
  /** Has git check every repository, and reads the packs of all kept states. */
  readonly isFull: boolean;
  /** Repairs a repository. @returns false if its directory is missing, or damaged as well. */
  readonly repair: (path: string, damage: Damage) => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** One of this number of repositories is checked by git. */
const CHECKED_EVERY = 20;
/** States of a repository that changes all the time which git begins to check. */
const MAX_STATES = 5;
/** Bit of the exit status of `git fsck` for missing objects (ERROR_REACHABLE of builtin/fsck.c). */
const MISSES_OBJECTS = 2;

interface Found {
  generation: number;
  packs: number;
  bytes: number;
  isChecked: boolean;
  /** True if git refuses the packs, or misses objects in them. */
  isRefused: boolean;
  readonly problems: string[];
  readonly damaged: Set<string>;
  readonly lenders: string[];
  isOfChain: boolean;
  lfsIds: readonly string[];
}

/** Reads all of an archive back, and repairs what is damaged. Yields each repository. */
export async function* verifyArchive(options: VerifyOptions): AsyncGenerator<VerifiedRepository> {
  const { bucket, isFull, repair, signal } = options;
  const files = new LfsVerification(options);
  let count = 0;
  for await (const path of archivedPaths(bucket)) {
    signal.throwIfAborted();
    const id = await bucket.paths.resolve(path);
    if (id === undefined) continue;
    const found = await verifyRepository(
      chainOf(bucket, id),
      isFull || count++ % CHECKED_EVERY === 0,
      options,
    );
    const { damaged, generation, isChecked, isOfChain, isRefused, lenders, packs } = found;
    const isDamaged = damaged.size + lenders.length > 0 || isOfChain || isRefused;
    let arePacksRepaired = isDamaged
      ? await repair(path, { packs: [...damaged], isOfChain, lenders })
      : found.problems.length === 0;
    if (arePacksRepaired && isRefused)
      arePacksRepaired = (await verifyRepository(chainOf(bucket, id), true, options)).problems.length === 0;
    const lfs = await files.verify(found.lfsIds, repositoryOf(path, options));
    const problems = [...found.problems, ...lfs.problems];
    const isRepaired = problems.length > 0 && arePacksRepaired && lfs.isRepaired;
    yield { path, generation, packs, bytes: found.bytes + lfs.bytes, isChecked, problems, isRepaired };
  }
}

/** Returns the repository on the disk; `undefined` if it is not there. */
function repositoryOf(relativePath: string, { storage, storages }: VerifyOptions): Repository | undefined {
  try {
    return storages.open({ storageName: storage.name, relativePath });
  } catch (error) {
    if (error instanceof GitalyError) return undefined;
    throw error;
  }
}

async function verifyRepository(chain: Chain, isChecked: boolean, options: VerifyOptions): Promise<Found> {
  const damaged = new Set<string>();
  const found: Found = {
    generation: 0,
    packs: 0,
    bytes: 0,
    isChecked: false,
    isRefused: false,
    problems: [],
    damaged,
    lenders: [],
    isOfChain: false,
    lfsIds: [],
  };
  try {
    const state = await verifyPacks(chain, found, options);
    found.generation = state.n;
    found.lfsIds = archivedLfsIds(state);
    for (const id of borrowedIds(state)) await verifyLender(id, found, options);
    if (isChecked && damaged.size + found.lenders.length === 0)
      await checkLastState(chain, state, found, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof ProtocolError && error.problem === 'damaged')) throw error;
    found.isOfChain = true;
    found.problems.push(error.message);
  }
  return found;
}

/**
 * Reads the packs of the last state, or of all kept states. One that is missing is damage only if a
 * state still names it: reading takes long, and the collector may have deleted it meanwhile.
 *
 * @returns the last state, as it was read after a pack was missing.
 */
async function verifyPacks(chain: Chain, found: Found, options: VerifyOptions): Promise<ChainState> {
  const { state } = await chain.follow();
  const missing: string[] = [];
  for (const name of await packsOf(chain, state, options))
    if (!(await verifyPack(chain, name, found, options))) missing.push(name);
  if (missing.length === 0) return state;
  const { state: later } = await chain.follow();
  const named = await packsOf(chain, later, options);
  for (const name of missing) {
    if (!named.has(name)) continue;
    found.damaged.add(name);
    found.problems.push(`the pack ${name} is missing`);
  }
  return later;
}

/** Returns the names of the packs of the last state, or of all kept states. */
async function packsOf(
  chain: Chain,
  { packs }: ChainState,
  { isFull }: VerifyOptions,
): Promise<ReadonlySet<string>> {
  const names = new Set(packs);
  if (isFull)
    for (const n of await checkpointsOf(chain))
      for (const name of (await chain.checkpoint(n))?.packs ?? []) names.add(name);
  return names;
}

/** Reads a pack. @returns false if it is missing. */
async function verifyPack(
  chain: Chain,
  name: string,
  found: Found,
  { bucket, signal }: VerifyOptions,
): Promise<boolean> {
  try {
    for await (const piece of readPack(bucket, chain.options.keys, name, signal)) found.bytes += piece.length;
    found.packs++;
  } catch (error) {
    if (isError(error) && error.name === 'MissingObjectError') return false;
    if (!(error instanceof DamagedPackError)) throw error;
    found.damaged.add(name);
    found.problems.push(error.message);
  }
  return true;
}

/** Checks that a chain can be read whose objects a repository may use. */
async function verifyLender(id: string, found: Found, { bucket }: VerifyOptions): Promise<void> {
  try {
    if ((await chainOf(bucket, id).follow()).state.n > 0) return;
  } catch (error) {
    if (!(error instanceof ProtocolError && error.problem === 'damaged')) throw error;
  }
  found.lenders.push(id);
  found.problems.push(`the repository ${id}, from which it borrows, cannot be read`);
}

/**
 * Has git check the last state. If that fails while there is a later one, which is checked then,
 * the collector may have deleted what the earlier needs.
 */
async function checkLastState(
  chain: Chain,
  first: ChainState,
  found: Found,
  options: VerifyOptions,
): Promise<void> {
  let state = first;
  for (let attempt = 1; ; attempt++)
    try {
      return await checkWithGit(chain, state, found, options);
    } catch (error) {
      options.signal.throwIfAborted();
      const later = (await chain.follow()).state;
      if (later.n === state.n || attempt === MAX_STATES) throw error;
      state = later;
    }
}

/**
 * Restores a state to a temporary directory, and has git check it. If git refuses packs that are as
 * they were uploaded, all of them are replaced. Those whose objects are unusual stay: the disk has
 * the same objects.
 */
async function checkWithGit(
  chain: Chain,
  state: ChainState,
  found: Found,
  { bucket, signal, storage, storages }: VerifyOptions,
): Promise<void> {
  await using temp = await createTempDirectory(storage, 'archive-verify-');
  const relativePath = temp.path.slice(storage.path.length + 1);
  const draft = storages.repositoryAt({ storage, path: temp.path, relativePath });
  const objectFormat = state.settings.get(SETTING.objectFormat) === 'sha256' ? 'sha256' : 'sha1';
  const referenceBackend = state.settings.get(SETTING.backend) === 'reftable' ? 'reftable' : 'files';
  let isFilled = false;
  try {
    await initializeRepository(draft, { objectFormat, referenceBackend, signal });
    await fillDraft(draft, { chain, state }, { bucket, signal });
    isFilled = true;
    const options = ['--no-dangling', '--no-progress'].map(flag);
    await draft.run(gitCommand('fsck', { options }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof GitExitError)) throw error;
    found.problems.push(`${error.message}: ${error.stderr.trim()}`);
    found.isRefused = !isFilled || ((error.exitCode ?? 0) & MISSES_OBJECTS) !== 0;
    if (found.isRefused) for (const name of state.packs) if (name.endsWith('.pack')) found.damaged.add(name);
  } finally {
    draft.caches.forget(draft);
  }
  found.isChecked = true;
}
