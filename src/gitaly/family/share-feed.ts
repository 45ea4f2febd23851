import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { abortable } from '#base/async/abortable';
import type { ChangeFeed } from '#events/change-feed';
import { TooOldError } from '#events/event-files';
import type { LifecycleChange } from '#storage/lifecycle/lifecycle-recorder';
import type { RepositoryLocation } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import type { Supervising } from '#workers/family';
import { answer, remote } from '#workers/protocol';
import {
  type BegunChange,
  type BegunLifecycle,
  FEED,
  FEED_NEWS,
  type JournalState,
} from './feed-messages.ts';

interface Change {
  /** Records it. Resolves when its events are in the journal. */
  end(hasFailed: boolean): Promise<void>;
  /** The worker has died. */
  abandon(): void;
}

/** Records the changes that workers make, and lets them read the feed. */
export function shareFeed(
  { desk, serving }: Pick<Supervising, 'desk' | 'serving'>,
  feed: ChangeFeed,
  storages: Storages,
): void {
  const changes = new Map<number, Change>();
  let lastId = 0;
  const take = (id: number): Change | undefined => {
    const change = changes.get(id);
    changes.delete(id);
    return change;
  };
  const hold = (change: Change) => {
    const id = ++lastId;
    changes.set(id, change);
    return { value: id, release: () => take(id)?.abandon() };
  };
  const stateOf = (storageName: string): JournalState => {
    const { id, last, oldest } = feed.journal(storageName);
    return { storageName, id, last, oldest };
  };
  answer(desk, FEED, {
    begin: async (change) => hold(await beginChange(feed, storages, change)),
    beginLifecycle: async (change) => hold(await beginLifecycle(feed, storages, change)),
    end: ({ hasFailed, id }) => take(id)?.end(hasFailed),
    state: stateOf,
    locate: ({ after, storageName }) => locate(feed.journal(storageName), after),
    locateCompacted: (name) => feed.journal(name).locateCompacted(),
  });
  const follow = async (storageName: string): Promise<void> => {
    const journal = feed.journal(storageName);
    for (let { news } = journal; !feed.ending.signal.aborted; ) {
      await abortable(news, feed.ending.signal).catch(() => {}); // the loop ends
      ({ news } = journal);
      for (const { link } of serving()) remote(link, FEED_NEWS).state(stateOf(storageName));
    }
  };
  for (const { storage } of feed.journals()) void follow(storage);
}

async function beginChange(
  feed: ChangeFeed,
  storages: Storages,
  { names, options, user, wanted, ...place }: BegunChange,
): Promise<Change> {
  const repository = storages.repositoryAt(locationOf(storages, place));
  const change = await feed.begin(repository, names, { ...options, user, wanted: wanted && new Map(wanted) });
  return {
    end: async () => await change?.[Symbol.asyncDispose](),
    abandon: () => change && feed.abandon(repository, names, change),
  };
}

/** Returns when the change may be made. */
async function beginLifecycle(
  feed: ChangeFeed,
  storages: Storages,
  { kind, previousPath, user, ...place }: BegunLifecycle,
): Promise<Change> {
  const location = locationOf(storages, place);
  const change = { kind, location, user, ...(previousPath !== undefined && { previousPath }) };
  const begun = Promise.withResolvers<void>();
  const made = Promise.withResolvers<void>();
  const recorded = feed
    .recordWhile(change, async () => {
      begun.resolve();
      await made.promise;
    })
    .catch(() => {}); // the worker has the error of a change that failed
  await Promise.race([begun.promise, recorded]);
  const end = async (hasFailed: boolean): Promise<void> => {
    if (hasFailed) made.reject(new Error('the change has failed'));
    else made.resolve();
    await recorded;
  };
  return { end, abandon: () => void end(!hasHappened(change)) };
}

function hasHappened({ kind, location, previousPath }: LifecycleChange): boolean {
  const isThere = existsSync(location.path);
  if (kind === 'removed') return !isThere;
  const { path } = location.storage;
  return isThere && (previousPath === undefined || !existsSync(posix.join(path, previousPath)));
}

function locationOf(
  storages: Storages,
  { relativePath, storageName }: { readonly relativePath: string; readonly storageName: string },
): RepositoryLocation {
  const storage = storages.storage(storageName);
  return { storage, relativePath, path: posix.join(storage.path, relativePath) };
}

function locate(journal: ReturnType<ChangeFeed['journal']>, after: number) {
  try {
    return journal.locate(after);
  } catch (error) {
    if (error instanceof TooOldError) return { tooOld: error.message };
    throw error;
  }
}
