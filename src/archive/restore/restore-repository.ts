import { GitalyError, wrap } from '#base/gitaly-error';
import type { Chain } from '#generations/chain/chain';
import type { ChainState } from '#generations/chain/chain-state';
import { type PastMoment, pastState } from '#generations/chain/past-state';
import { ProtocolError } from '#generations/errors';
import { createRepository } from '#storage/lifecycle/create-repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { type ArchiveBucket, chainOf } from '../bucket/archive-bucket.ts';
import { SETTING } from '../capture/capture-settings.ts';
import type { ArchivedLfsStore } from '../lfs/lfs-store.ts';
import { restoreLfsFiles } from '../lfs/restore-lfs-files.ts';
import { unlessGivenUp } from '../maintain/given-up.ts';
import { fillDraft } from './fill-draft.ts';

/** A state in an archive, and the chain that it is of. */
export interface FoundState {
  readonly chain: Chain;
  readonly state: ChainState;
}

export interface RestoreOptions {
  readonly bucket: ArchiveBucket;
  readonly storages: Storages;
  /** Where its files of Git LFS are put; `undefined` without Git LFS. */
  readonly lfs?: ArchivedLfsStore | undefined;
  readonly target: RepositoryTarget;
  /** Replaces an existing repository once the restored one is complete. */
  readonly replaces: boolean;
  readonly signal: AbortSignal;
}

/**
 * Finds the archived state of a path: the last one, or that of a moment. Of a repository that was
 * removed, the last state before that. A path may have had several repositories, one after another:
 * a number of a generation is that of the last one that has it.
 *
 * @param idPrefix only of repositories whose ids begin with it.
 * @throws {GitalyError} NOT_FOUND if there was none.
 */
export async function findState(
  bucket: ArchiveBucket,
  path: string,
  moment: PastMoment | undefined,
  idPrefix = '',
): Promise<FoundState> {
  let missing: GitalyError | undefined;
  const seen = new Set<string>();
  for await (const { id } of bucket.paths.records(path)) {
    if (seen.has(id) || !id.startsWith(idPrefix)) continue;
    seen.add(id);
    const chain = chainOf(bucket, id);
    const state = await unlessGivenUp(bucket, id, () =>
      moment === undefined ? lastState(chain) : stateAt(chain, moment),
    );
    if (state instanceof GitalyError) {
      missing ??= state;
      continue;
    }
    // The repository was at another path at that time.
    if (state === undefined || (moment !== undefined && state.settings.get(SETTING.path) !== path)) continue;
    if (state.exists) return { chain, state };
    if (moment === undefined || !('generation' in moment)) break; // it was removed at that time
  }
  throw missing ?? new GitalyError('NOT_FOUND', 'the archive has no such repository at that time');
}

/** Returns an error if the generation is not kept. */
async function stateAt(chain: Chain, moment: PastMoment): Promise<ChainState | GitalyError | undefined> {
  try {
    return await pastState(chain, moment);
  } catch (error) {
    if (error instanceof ProtocolError && error.problem === 'missing')
      return new GitalyError('NOT_FOUND', error.message, { cause: error });
    throw error;
  }
}

async function lastState(chain: Chain): Promise<ChainState | undefined> {
  const { state } = await chain.follow();
  return state.exists || state.n === 0 ? state : await pastState(chain, { generation: state.n - 1 });
}

/**
 * Restores a repository from an archived state. It appears when it is complete and was checked: the
 * checksums of all packs, and that no object is missing.
 *
 * @returns a sentence about files of Git LFS that are missing; empty otherwise.
 * @throws {GitalyError} ALREADY_EXISTS; DATA_LOSS if the archive lacks something else.
 */
export async function restoreState(
  { chain, state }: FoundState,
  { bucket, lfs, replaces, signal, storages, target }: RestoreOptions,
): Promise<string> {
  let missing = '';
  const objectFormat = state.settings.get(SETTING.objectFormat) === 'sha256' ? 'sha256' : 'sha1';
  const referenceBackend = state.settings.get(SETTING.backend) === 'reftable' ? 'reftable' : 'files';
  await createRepository(storages, target, {
    objectFormat,
    referenceBackend,
    replaces,
    signal,
    seed: async (draft) => {
      await fillDraft(draft, { chain, state }, { bucket, signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw wrap(error, 'restoring from the archive', 'DATA_LOSS');
      });
      if (lfs !== undefined) missing = await restoreLfsFiles(draft, { bucket, store: lfs.store, signal });
    },
  });
  return missing;
}
