import { GitalyError, messageOf } from '#base/gitaly-error';
import type { PastMoment } from '#generations/chain/past-state';
import { pastState } from '#generations/chain/past-state';
import { ProtocolError } from '#generations/errors';
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
 * Existing ones stay as they are. Yields each with its result, in any order. When it ends, so have
 * all restores.
 */
export async function* restoreRepositories(
  options: RestoreStorageOptions,
): AsyncGenerator<RestoredRepository, void, undefined> {
  const { signal, storage: storageName, storages } = options;
  const ending = new AbortController();
  const whole = { ...options, signal: AbortSignal.any([signal, ending.signal]) };
  const running = new Set<Promise<void>>();
  const done: RestoredRepository[] = [];
  const start = (path: string, found: FoundState): void => {
    const work = restoreOne(path, found, whole).then((result) => {
      running.delete(work);
      done.push(result);
    });
    running.add(work);
  };
  try {
    for await (const { path, ...found } of allStates(options)) {
      if (isThere(storages, { storageName, relativePath: path })) {
        yield { path, result: 'exists', reason: '' };
      } else if ('state' in found) start(path, found);
      else yield { path, result: 'failed', reason: found.reason };
      if (running.size === AT_ONCE) await Promise.race(running);
      signal.throwIfAborted();
      yield* done.splice(0);
    }
    while (running.size > 0) {
      await Promise.race(running);
      signal.throwIfAborted();
      yield* done.splice(0);
    }
    yield* done;
  } finally {
    ending.abort(new Error('the restore of the storage has ended'));
    await Promise.all(running);
  }
}

/** Restores a repository. Never rejects. */
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
    return { path, result: 'failed', reason: messageOf(error) };
  }
}

/** Why the repository of a path is not known: the archive is damaged. */
interface Damage {
  readonly reason: string;
}

/**
 * Yields the state of each repository that exists, or existed at the time, with its path. A rename
 * is in the records of paths before it is in a state; only states have times.
 */
async function* allStates({
  bucket,
  signal,
  timeMs,
}: RestoreStorageOptions): AsyncGenerator<{ readonly path: string } & (FoundState | Damage)> {
  const moment: PastMoment | undefined = timeMs === undefined ? undefined : { timeMs };
  const seen = new Set<string>();
  for await (const path of archivedPaths(bucket)) {
    signal.throwIfAborted();
    const ids = await unlessDamaged(() => idsOf(bucket, path, moment));
    if ('reason' in ids) yield { path, ...ids };
    else
      for (const id of ids) {
        if (seen.has(id)) continue;
        seen.add(id);
        const found = await unlessDamaged(() => stateOf(bucket, id, moment));
        if (found === undefined) continue;
        const then = moment && 'state' in found ? (found.state.settings.get(SETTING.path) ?? '') : path;
        yield { path: then, ...found };
      }
  }
}

/** Reads of an archive. One that is damaged has other repositories, too. */
async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | Damage> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ProtocolError && error.problem === 'damaged')) throw error;
    return { reason: error.message };
  }
}

/** Returns the id of the repository at a path, or of all that were there. */
async function idsOf(bucket: ArchiveBucket, path: string, moment: PastMoment | undefined): Promise<string[]> {
  if (moment !== undefined) return await Array.fromAsync(bucket.paths.records(path), ({ id }) => id);
  const id = await bucket.paths.resolve(path);
  return id === undefined ? [] : [id];
}

/** Returns the state of a repository; `undefined` if it does not exist, or did not at the time. */
async function stateOf(
  bucket: ArchiveBucket,
  id: string,
  moment: PastMoment | undefined,
): Promise<FoundState | undefined> {
  const chain = chainOf(bucket, id);
  const state =
    moment === undefined
      ? (await chain.follow()).state
      : await unlessGivenUp(bucket, id, () => pastState(chain, moment));
  return state?.exists === true ? { chain, state } : undefined;
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
