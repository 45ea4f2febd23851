import { messageOf } from '#base/gitaly-error';
import type { PastMoment } from '#generations/chain/past-state';
import { pastState } from '#generations/chain/past-state';
import type { ArchiveBucket } from '../bucket/archive-bucket.ts';
import { chainOf } from '../bucket/archive-bucket.ts';
import { archivedPaths } from '../bucket/archived-paths.ts';
import { SETTING } from '../capture/read-settings.ts';
import type { FoundState } from './restore-repository.ts';

/** A repository, and whether it was restored. */
export interface RestoredRepository {
  readonly path: string;
  readonly result: 'restored' | 'exists' | 'failed';
  /** Why it failed; empty otherwise. */
  readonly reason: string;
}

export interface RestoreStorageOptions {
  readonly bucket: ArchiveBucket;
  /** Time of the state; `undefined` for the last one. */
  readonly timeMs: number | undefined;
  readonly exists: (path: string) => boolean;
  readonly restore: (path: string, found: FoundState) => Promise<void>;
  readonly signal: AbortSignal;
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
    if (options.exists(path)) {
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
  { restore, signal }: RestoreStorageOptions,
): Promise<RestoredRepository> {
  try {
    await restore(path, found);
    return { path, result: 'restored', reason: '' };
  } catch (error) {
    signal.throwIfAborted();
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
      const state = moment === undefined ? (await chain.follow()).state : await pastState(chain, moment);
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
