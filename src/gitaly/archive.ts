import type { Archive, ArchivedStorage } from '#archive/archive';
import type { ArchivedLfsStore } from '#archive/lfs/lfs-store';
import { archiveDirectory } from '#archive/publish/archive-directory';
import { settingsMarker } from '#archive/publish/marks';
import type { RestoredRepository } from '#archive/restore/restore-storage';
import { messageOf, wrapped } from '#base/gitaly-error';
import type { ChangeFeed } from '#events/change-feed';
import { localDirectoryOf, openStore } from '#object-store/open-store';
import type { GitalyConfig } from '#platform/config/load-config';
import { archiveMetrics } from '#platform/metrics/archive-metrics';
import type { RepositoryLocation } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import type { MethodInfo } from '#wire/method-info';
import type { Foundation } from './foundation.ts';

/** Marks changes of repositories that the change feed does not record. */
export interface SettingsMarks {
  /** Marks a call that may change settings, before and after it. */
  readonly ofCall: (location: RepositoryLocation, method: MethodInfo, phase: 'begin' | 'end') => void;
  /** Marks a repository whose settings were changed by no call. */
  readonly changed: (location: RepositoryLocation) => void;
}

const ARCHIVES = new WeakMap<object, Archive>();
const STORAGES = new WeakMap<object, Storages>();

/** Keeps the archives of a server for {@link archiveOf}. */
export function noteArchive(server: object, archive: Archive): void {
  ARCHIVES.set(server, archive);
}

/**
 * Returns the archives of a `GitalyServer`; `undefined` without any, and in a worker. Programs use
 * `ArchiveService`: a property of the server would bring the types of archives into packages.
 *
 * @internal
 */
export function archiveOf(server: object): Archive | undefined {
  return ARCHIVES.get(server);
}

/** Keeps the storages of a server for {@link restoreFrom}. */
export function noteStorages(server: object, storages: Storages): void {
  STORAGES.set(server, storages);
}

export interface RestoreFromOptions {
  readonly storage: string;
  /** Store of the files of Git LFS; `undefined` restores none. */
  readonly lfsUrl: string | undefined;
  /** Time of the state; `undefined` for the last one. */
  readonly timeMs: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Restores all repositories that a storage of a `GitalyServer` lacks from an archive that another
 * server may write. Nothing is written to its bucket. Yields each with its result.
 *
 * @internal
 */
export async function* restoreFrom(
  server: object,
  url: string,
  { lfsUrl, signal, storage, timeMs }: RestoreFromOptions,
): AsyncGenerator<RestoredRepository> {
  const storages = STORAGES.get(server);
  if (storages === undefined) throw new TypeError('not a server');
  const { openReadOnlyArchive } = await import('#archive/bucket/archive-bucket');
  const { restoreRepositories } = await import('#archive/restore/restore-storage');
  const bucket = await openReadOnlyArchive(url, signal);
  const lfs = lfsUrl === undefined ? undefined : { store: await openStore(lfsUrl), isArchived: false };
  yield* restoreRepositories({ bucket, storages, storage, lfs, timeMs, signal });
}

export function hasArchive({ storage }: Pick<GitalyConfig, 'storage'>): boolean {
  return storage.some(({ archive }) => archive.length > 0);
}

/** Starts the archives of a configuration. Without any, their code is not loaded. */
export async function startArchive(
  storages: Storages,
  feed: ChangeFeed,
  { config, logger, metrics }: Pick<Foundation, 'config' | 'logger' | 'metrics'>,
): Promise<Archive | undefined> {
  if (!hasArchive(config)) return undefined;
  const { Archive } = await import('#archive/archive');
  const archived: ArchivedStorage[] = config.storage
    .filter(({ archive }) => archive.length > 0)
    .map(({ archive, name }) => ({
      ...{ storage: name, urls: archive },
      journal: feed.journal(name),
      takenOver: feed.takenOver(name),
    }));
  let started: Archive | undefined;
  const counts = archiveMetrics(metrics.registry, () =>
    archived.flatMap(({ storage }) => started?.status(storage) ?? []),
  );
  started = await Archive.start({
    storages,
    archived,
    lfs: await openLfs(config, metrics),
    retention: config.archive,
    storeObserver: metrics.objectStores,
    observer: (storage) => ({
      problem: (error, { isLast, path }) => {
        counts.failed(storage);
        const fields = { error: messageOf(error), storage, relative_path: path };
        if (isLast) logger.error(fields, 'a repository could not be archived, and is compared later');
        else logger.warn(fields, 'an archive could not be written, and is tried again');
      },
      refused: (error) =>
        logger.error({ error: error.message, storage }, 'a storage is not archived any more'),
    }),
  });
  return started;
}

/** Opens the store of the files of Git LFS; `undefined` without one. @throws {Error} when it cannot be used. */
async function openLfs(
  { lfs: { url } }: Pick<GitalyConfig, 'lfs'>,
  { objectStores: observer }: Foundation['metrics'],
): Promise<ArchivedLfsStore | undefined> {
  if (!url) return undefined;
  const store = await openStore(url, { observer }).catch(wrapped('lfs.url'));
  return { store, isArchived: localDirectoryOf(url) !== undefined };
}

/**
 * Methods that change references and objects only, which the change feed records. All others may
 * change settings, hooks or alternates.
 */
const RECORDED =
  /^(?:PostReceivePack|SSHReceivePack|WriteRef|UpdateReferences|DeleteRefs|User[A-Z]\w*|RepackObjects|OptimizeRepository|PruneUnreachableObjects|ReplicateRefs)$/;

/** Returns what marks changes in archived storages; `undefined` without any. */
export function settingsMarks({
  storage: storages,
}: Pick<GitalyConfig, 'storage'>): SettingsMarks | undefined {
  const markers = new Map(
    storages
      .filter(({ archive }) => archive.length > 0)
      .map((storage) => [
        storage.name,
        storage.archive.map((url) => settingsMarker(archiveDirectory(storage, url))),
      ]),
  );
  if (markers.size === 0) return undefined;
  const mark = ({ relativePath, storage }: RepositoryLocation, phase: 'begin' | 'end'): void => {
    for (const each of markers.get(storage.name) ?? []) each(relativePath, phase);
  };
  return {
    ofCall: (location, { name }, phase) => {
      if (!RECORDED.test(name)) mark(location, phase);
    },
    changed: (location) => mark(location, 'end'),
  };
}
