import { codeOf, messageOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { parseLfsKey } from '#object-store/lfs-objects';
import type { ObjectFacts, ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import { isPoolPath } from '#storage/pool-path';

/** Files are sent before the push that names them. */
const MIN_AGE_MS = 24 * 3600 * 1000;
/** Repositories whose settings are read at once. */
const AT_ONCE = 16;
/** A part of a SHA-256 that no other file shares by chance; whole ones take twice the memory. */
const KEPT_DIGITS = 32;

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
  readonly unreadable: string[];
}

interface Place {
  readonly storageName: string;
  readonly relativePath: string;
}

/**
 * Removes the files of Git LFS that no history names: neither that of their repository, nor that of
 * one that was forked from it. Younger files may belong to a push that has not ended. Incomplete
 * files that a killed server left are removed, too.
 *
 * @throws when the server or the store cannot be read: then what was removed was right.
 */
export async function collectLfs(options: CollectLfsOptions): Promise<LfsCollection> {
  const { connection, isDryRun, nowMs, onProgress, removesOrphans, signal, storeUrl } = options;
  const store = await openStore(storeUrl);
  const readers = await readersOf(connection, signal);
  const state: LfsCollection = {
    repositories: readers.size,
    ...{ files: 0, removedFiles: 0, removedBytes: 0, orphanFiles: 0, orphanBytes: 0, unreadable: [] },
  };
  let named: { readonly id: string; readonly oids: ReadonlySet<string> | undefined } | undefined;
  for await (const page of store.list('', { signal })) {
    const found: ObjectFacts[] = [];
    for (const facts of page) {
      const { key, modifiedMs, sizeBytes } = facts;
      const file = parseLfsKey(key);
      if (file === undefined) continue;
      const { id, oid } = file;
      state.files++;
      if (modifiedMs > nowMs - MIN_AGE_MS) continue;
      const places = readers.get(id);
      if (places === undefined && !removesOrphans) {
        state.orphanFiles++;
        state.orphanBytes += sizeBytes;
        continue;
      }
      // The store lists one id after the other.
      if (named?.id !== id) named = { id, oids: await namedBy(places ?? [], state, connection, signal) };
      if (named.oids === undefined || named.oids.has(oid.slice(0, KEPT_DIGITS))) continue;
      found.push(facts);
    }
    await removeOld(found, state, { ...options, store });
    onProgress?.(state);
  }
  const leftovers = await store.removeLeftovers?.({ beforeMs: nowMs - MIN_AGE_MS, isDryRun, signal });
  state.removedFiles += leftovers?.objects ?? 0;
  state.removedBytes += leftovers?.bytes ?? 0;
  return state;
}

/** Removes files that are still old: a push that names one again makes it young. */
async function removeOld(
  found: readonly ObjectFacts[],
  state: LfsCollection,
  { isDryRun, nowMs, signal, store }: CollectLfsOptions & { readonly store: ObjectStore },
): Promise<void> {
  const isOld = async ({ key }: ObjectFacts): Promise<boolean> => {
    const now = await store.head(key, { signal });
    return now !== undefined && now.modifiedMs <= nowMs - MIN_AGE_MS;
  };
  for (let start = 0; start < found.length; start += AT_ONCE) {
    const some = found.slice(start, start + AT_ONCE);
    const areOld = await Promise.all(some.map(isOld));
    const old = some.filter((_, index) => areOld[index]);
    const keys = old.map(({ key }) => key);
    if (!isDryRun) await store.delete(keys, { signal });
    state.removedFiles += old.length;
    state.removedBytes += old.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  }
}

/** Returns the repositories that read the files of each id. */
async function readersOf(connection: Connection, signal: AbortSignal): Promise<Map<string, Place[]>> {
  const readers = new Map<string, Place[]>();
  const add = async (places: readonly Place[]): Promise<void> => {
    const found = await Promise.all(places.map((place) => idsOf(place, connection, signal)));
    for (const [index, place] of places.entries())
      for (const id of found[index] ?? []) {
        const known = readers.get(id);
        if (known === undefined) readers.set(id, [place]);
        else known.push(place);
      }
  };
  const { storageStatuses } = await connection.server.serverInfo({}, { signal });
  for (const storageName of new Set(storageStatuses.map((status) => status.storageName))) {
    let places: Place[] = [];
    for await (const { relativePath } of connection.internal.walkRepos({ storageName }, { signal })) {
      if (isPoolPath(relativePath)) continue;
      places.push({ storageName, relativePath });
      if (places.length < AT_ONCE) continue;
      await add(places);
      places = [];
    }
    await add(places);
  }
  return readers;
}

async function idsOf(repository: Place, { settings }: Connection, signal: AbortSignal): Promise<string[]> {
  try {
    return (await settings.get({ repository }, { signal })).lfsIds;
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return []; // it was removed meanwhile
    throw error;
  }
}

/** Returns the files that the histories of repositories name; `undefined` if one cannot be read. */
async function namedBy(
  places: readonly Place[],
  { unreadable }: LfsCollection,
  { settings }: Connection,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const oids = new Set<string>();
  for (const repository of places)
    try {
      for await (const { files } of settings.listLfsFiles({ repository }, { signal }))
        for (const { sha256 } of files) oids.add(sha256.slice(0, KEPT_DIGITS));
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') continue;
      signal.throwIfAborted();
      unreadable.push(`${repository.relativePath}: ${messageOf(error)}`);
      return undefined;
    }
  return oids;
}
