import type { Connection } from '#client/index';
import { parseLfsKey } from '#object-store/lfs-objects';
import type { ObjectFacts, ObjectStore } from '#object-store/object-store';
import { localDirectoryOf, openStore } from '#object-store/open-store';
import { PreconditionError } from '#object-store/store-error';
import { type LfsReader, LfsReaders, type NamedFiles } from './lfs-readers.ts';

/** Files are sent before the push that names them. */
const MIN_AGE_MS = 24 * 3600 * 1000;
/** Files that are removed at once. */
const AT_ONCE = 16;
/** Files that are kept in memory until the repositories are listed once more. */
const MAX_SUSPECTS = 50_000;
/** Lists of the repositories before files are removed, each of which had other readers. */
const MAX_LISTS = 3;

export interface CollectLfsOptions {
  readonly connection: Connection;
  /** URL of the store of the server. */
  readonly storeUrl: string;
  /** Removes nothing. */
  readonly isDryRun: boolean;
  /** Also removes files under ids that no repository of the server has. */
  readonly removesOrphans: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (state: Readonly<LfsCollection>) => void;
}

/** The result: what was removed, or with a dry run would be. */
export interface LfsCollection {
  /** Repositories that have files. */
  repositories: number;
  /** Files that were looked at. */
  files: number;
  removedFiles: number;
  removedBytes: number;
  /** Old files under ids that no repository has, if they are not removed. */
  orphanFiles: number;
  orphanBytes: number;
  /** Repositories that cannot be read; their files are kept. */
  unreadable: readonly string[];
}

/** Old files of an id that its readers do not name. */
interface Suspects {
  readonly id: string;
  /** Keys of the readers that were asked. */
  readonly asked: Set<string>;
  files: Suspect[];
}

interface Suspect {
  readonly oid: string;
  readonly facts: ObjectFacts;
}

/**
 * Removes the files of Git LFS that no history names: neither that of their repository, nor that of
 * one that was forked from it, also if they are renamed or forked meanwhile. Younger files may
 * belong to a push that has not ended. Incomplete files that a killed server left are removed, too.
 *
 * @throws when the server or the store cannot be read: then what was removed was right.
 */
export async function collectLfs(options: CollectLfsOptions): Promise<LfsCollection> {
  const { connection, isDryRun, nowMs, onProgress, removesOrphans, signal, storeUrl } = options;
  const store = await openStore(storeUrl);
  const repositories = new LfsReaders(connection, signal);
  let readers = await repositories.list();
  const state: LfsCollection = {
    repositories: readers.size,
    ...{ files: 0, removedFiles: 0, removedBytes: 0, orphanFiles: 0, orphanBytes: 0, unreadable: [] },
  };
  let found: Suspects[] = [];
  let count = 0;
  let current: { readonly suspects: Suspects; readonly named: NamedFiles | undefined } | undefined;
  const removeFound = async (): Promise<void> => {
    if (count > 0) readers = await confirm(found, repositories);
    for (const { files } of found) await removeOld(files, state, { ...options, store });
    // Further files of the last id are compared with the readers that are known now.
    [found, current, count] = [[], undefined, 0];
  };
  for await (const page of store.list('', { signal })) {
    for (const facts of page) {
      const file = parseLfsKey(facts.key);
      if (file === undefined) continue;
      const { id, oid } = file;
      state.files++;
      if (facts.modifiedMs > nowMs - MIN_AGE_MS) continue;
      const known = readers.get(id);
      if (known === undefined && !removesOrphans) {
        state.orphanFiles++;
        state.orphanBytes += facts.sizeBytes;
        continue;
      }
      // The store lists one id after the other.
      if (current?.suspects.id !== id) {
        const suspects: Suspects = { id, asked: new Set(known?.map(keyOf)), files: [] };
        current = { suspects, named: await repositories.namedBy(known ?? []) };
        found.push(suspects);
      }
      if (current.named?.has(oid) !== false) continue;
      current.suspects.files.push({ oid, facts });
      count++;
    }
    if (count >= MAX_SUSPECTS) await removeFound();
    onProgress?.(state);
  }
  await removeFound();
  const leftovers = await store.removeLeftovers?.({ beforeMs: nowMs - MIN_AGE_MS, isDryRun, signal });
  state.removedFiles += leftovers?.objects ?? 0;
  state.removedBytes += leftovers?.bytes ?? 0;
  state.unreadable = repositories.unreadable;
  return state;
}

function keyOf({ ownId, relativePath, storageName }: LfsReader): string {
  return [ownId, storageName, relativePath].join('\0');
}

/**
 * Lists the repositories again, and asks those that were not asked: a repository may have been
 * renamed or forked since the list before, or while that was made. @returns the last list.
 */
async function confirm(
  found: readonly Suspects[],
  repositories: LfsReaders,
): Promise<Map<string, LfsReader[]>> {
  for (let lists = 1; ; lists++) {
    const readers = await repositories.list();
    let isNew = false;
    for (const suspects of found) {
      const unasked = (readers.get(suspects.id) ?? []).filter((reader) => !suspects.asked.has(keyOf(reader)));
      if (suspects.files.length === 0 || unasked.length === 0) continue;
      isNew = true;
      for (const reader of unasked) suspects.asked.add(keyOf(reader));
      const named = lists < MAX_LISTS ? await repositories.namedBy(unasked) : undefined;
      suspects.files = suspects.files.filter(({ oid }) => named?.has(oid) === false);
    }
    if (!isNew) return readers;
  }
}

type RemoveOptions = CollectLfsOptions & { readonly store: ObjectStore };

/** Removes files that are still old: a push that names one again makes it young. */
async function removeOld(
  found: readonly Suspect[],
  state: LfsCollection,
  options: RemoveOptions,
): Promise<void> {
  const { isDryRun, nowMs, signal, store } = options;
  const isOld = ({ modifiedMs }: ObjectFacts): boolean => modifiedMs <= nowMs - MIN_AGE_MS;
  for (let start = 0; start < found.length; start += AT_ONCE) {
    const keys = found.slice(start, start + AT_ONCE).map(({ facts }) => facts.key);
    const now = await Promise.all(keys.map((key) => store.head(key, { signal })));
    const old = now.flatMap((facts) => facts ?? []).filter(isOld);
    const removed = isDryRun ? old : await remove(old, options);
    state.removedFiles += removed.length;
    state.removedBytes += removed.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  }
}

/** Removes files, in a directory only those that did not become young since. @returns those. */
async function remove(
  old: readonly ObjectFacts[],
  { signal, store, storeUrl }: RemoveOptions,
): Promise<readonly ObjectFacts[]> {
  // In a bucket, a push does not change the file, and not every service deletes by version.
  if (localDirectoryOf(storeUrl) === undefined) {
    await store.delete(
      old.map(({ key }) => key),
      { signal },
    );
    return old;
  }
  const removed = old.map(async (facts) => {
    try {
      await store.deleteVersion(facts.key, facts.version, { signal });
      return [facts];
    } catch (error) {
      if (error instanceof PreconditionError) return [];
      throw error;
    }
  });
  return (await Promise.all(removed)).flat();
}
