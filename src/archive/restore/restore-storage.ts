import { GitalyError, messageOf } from '#base/gitaly-error';
import type { PastMoment } from '#generations/chain/past-state';
import { pastState } from '#generations/chain/past-state';
import type { Storages } from '#storage/storages';
import type { ArchiveBucket } from '../bucket/archive-bucket.ts';
import { chainOf } from '../bucket/archive-bucket.ts';
import { archivedPaths } from '../bucket/archived-paths.ts';
import { SETTING } from '../capture/capture-settings.ts';
import { unlessGivenUp } from '../maintain/given-up.ts';
import { type FoundState, type RestoreOptions, restoreState } from './restore-repository.ts';

/** A repository, and whether it was restored. */
export interface RestoredRepository {
  readonly path: string;
  readonly result: 'restored' | 'exists' | 'failed';
  /** Why it failed, or which files of Git LFS are missing; empty otherwise. */
  readonly reason: string;
}

export interface RestoreStorageOptions extends Pick<RestoreOptions, 'storages' | 'lfs' | 'signal'> {
  readonly bucket: ArchiveBucket;
  /** Name of the storage that is restored to. */
  readonly storage: string;
  /** Time of the state; `undefined` for the last one. */
  readonly timeMs: number | undefined;
}

/** Repositories that are restored at once. */
const AT_ONCE = 4;

/**
 * Restores all repositories that an archive has, or had at a time, under their paths at that time.
 * Existing ones stay as they are. Yields each with its result, in any order.
 */
export async function* restoreRepositories(
  options: RestoreStorageOptions,
): AsyncGenerator<RestoredRepository, void, undefined> {
  const running = new Map<string, Promise<RestoredRepository>>();
  for await (const found of allStates(options)) {
    const path = found.state.settings.get(SETTING.path) ?? '';
    if (isThere(options.storages, { storageName: options.storage, relativePath: path })) {
      yield { path, result: 'exists', reason: '' };
      continue;
    }
    running.set(path, restoreOne(path, found, options));
    if (running.size < AT_ONCE) continue;
    const done = await Promise.race(running.values());
    running.delete(done.path);
    yield done;
  }
  for (const each of running.values()) yield await each;
}

async function restoreOne(
  path: string,
  found: FoundState,
  { storage: storageName, ...options }: RestoreStorageOptions,
): Promise<RestoredRepository> {
  try {
    const target = { storageName, relativePath: path };
    const reason = await restoreState(found, { ...options, target, replaces: false });
    return { path, result: 'restored', reason };
  } catch (error) {
    options.signal.throwIfAborted();
    return { path, result: 'failed', reason: messageOf(error) };
  }
}

/** Yields the state of each repository that exists, or existed at the time. */
async function* allStates({ bucket, signal, timeMs }: RestoreStorageOptions): AsyncGenerator<FoundState> {
  const moment: PastMoment | undefined = timeMs === undefined ? undefined : { timeMs };
  const seen = new Set<string>();
  for await (const path of archivedPaths(bucket)) {
    signal.throwIfAborted();
    for await (const id of moment === undefined ? currentId(bucket, path) : idsOfPath(bucket, path)) {
      if (seen.has(id)) continue;
      seen.add(id);
      const chain = chainOf(bucket, id);
      const state =
        moment === undefined
          ? (await chain.follow()).state
          : await unlessGivenUp(bucket, id, () => pastState(chain, moment));
      if (state?.exists === true) yield { chain, state };
    }
  }
}

async function* currentId(bucket: ArchiveBucket, path: string): AsyncGenerator<string> {
  const id = await bucket.paths.resolve(path);
  if (id !== undefined) yield id;
}

async function* idsOfPath(bucket: ArchiveBucket, path: string): AsyncGenerator<string> {
  for await (const { id } of bucket.paths.records(path)) yield id;
}

function isThere(storages: Storages, target: { storageName: string; relativePath: string }): boolean {
  try {
    storages.open(target);
    return true;
  } catch (error) {
    if (error instanceof GitalyError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
