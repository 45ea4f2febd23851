import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { wrap, wrapped } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { parseFormat, requireReferenceBackend } from '#git/repository-files/repository-format';
import { type Alternates, alternateDirectory, readAlternates } from '../alternates.ts';
import { FULL_REPACK_TIMESTAMP } from '../lifecycle/create-repository.ts';
import type { Repository } from '../repository.ts';
import type { Storages } from '../storages.ts';
import { type CommitGraphInfo, readCommitGraphInfo } from './commit-graph.ts';
import { directorySizeBytes } from './directory-size.ts';
import { addLooseObjects, countLooseObjects, type LooseObjects } from './loose-objects.ts';
import { countPackfiles, type Packfiles } from './packfiles.ts';
import { countReferences, type ReferencesInfo } from './references.ts';

/**
 * Names of files at the top that are not included in a repository's size: earlier releases used
 * them for temporary files.
 */
export const REPOSITORY_SIZE_OPTIONS = { skip: ['worktrees', 'gitlab-worktree'] } as const;

/**
 * Facts about the storage of a repository. With a pool, the pool's objects are included and the
 * indexes are the pool's.
 */
export interface RepositoryStatistics {
  readonly sizeBytes: bigint;
  readonly referenceBackend: 'files' | 'reftable';
  readonly references: ReferencesInfo;
  readonly looseObjects: LooseObjects;
  readonly packfiles: Packfiles;
  readonly commitGraph: CommitGraphInfo | undefined;
  readonly alternates: Alternates | undefined;
  /** Milliseconds since 1970; `undefined` if it was not recorded. */
  readonly lastFullRepackMs: number | undefined;
}

/**
 * Collects statistics from a repository's files, by a walk over all of them.
 *
 * @throws {GitalyError} UNKNOWN when the configuration names an unknown storage of references;
 *   NOT_FOUND when the alternates name a directory that is not a repository of
 *   the storage.
 */
export async function repositoryStatistics(
  repository: Repository,
  storages: Storages,
): Promise<RepositoryStatistics> {
  const own = await ownStatistics(repository, storages);
  const [poolObjects] = own.alternates?.objectDirectories ?? [];
  if (poolObjects === undefined) return own;

  const pool = openPool(repository, poolObjects, storages);
  const [sizeBytes, loose, packs] = await Promise.all([
    directorySizeBytes(pool.path, { ...REPOSITORY_SIZE_OPTIONS, sums: storages.directorySums }),
    countLooseObjects(pool.path, { shards: storages.looseObjectShards }),
    countPackfiles(pool.path).catch(wrapped('deriving pool packfiles info')),
  ]);
  return {
    ...own,
    sizeBytes: own.sizeBytes + sizeBytes,
    looseObjects: addLooseObjects(own.looseObjects, loose),
    packfiles: addPackfiles(own.packfiles, packs),
  };
}

async function ownStatistics(
  { path: directory }: Repository,
  { directorySums: sums, looseObjectShards: shards }: Storages,
): Promise<RepositoryStatistics> {
  const referenceBackend = await readReferenceBackend(directory);
  const [sizeBytes, looseObjects, packfiles, references, commitGraph, alternates, lastFullRepackMs] =
    await Promise.all([
      directorySizeBytes(directory, { ...REPOSITORY_SIZE_OPTIONS, sums }),
      countLooseObjects(directory, { shards }),
      countPackfiles(directory).catch(wrapped('deriving repository info: counting packfiles')),
      referenceBackend === 'files' ? countReferences(directory) : { looseCount: 0, packedSize: 0 },
      readCommitGraphInfo(directory).catch(wrapped('deriving repository info: checking commit-graph info')),
      readAlternates(directory).catch(wrapped('deriving repository info')),
      modifiedMs(`${directory}/${FULL_REPACK_TIMESTAMP}`),
    ]);
  return {
    sizeBytes,
    referenceBackend,
    references,
    looseObjects,
    packfiles,
    commitGraph,
    alternates,
    lastFullRepackMs,
  };
}

function openPool(repository: Repository, objectDirectory: string, storages: Storages): Repository {
  const poolPath = path.posix.dirname(alternateDirectory(repository.path, objectDirectory));
  const relativePath = path.posix.relative(repository.storagePath, poolPath);
  try {
    return storages.open({ storageName: repository.storageName, relativePath }, { otherwise: 'INTERNAL' });
  } catch (error) {
    throw wrap(error, 'deriving pool loose objects info: getting repository path');
  }
}

async function readReferenceBackend(directory: string): Promise<'files' | 'reftable'> {
  const config = await readFile(`${directory}/config`, 'latin1').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw wrap(error, 'deriving repository info: checking references: reference backend');
  });
  try {
    return requireReferenceBackend(parseFormat(config, false));
  } catch (error) {
    throw wrap(error, 'deriving repository info: checking references: reference backend');
  }
}

async function modifiedMs(file: string): Promise<number | undefined> {
  return (await stat(file).catch(ignoreMissing))?.mtimeMs;
}

/**
 * Adds the statistics of packs. A member is repacked without its own indexes; git uses those of the
 * pool.
 */
function addPackfiles(member: Packfiles, pool: Packfiles): Packfiles {
  return {
    count: member.count + pool.count,
    size: member.size + pool.size,
    reverseIndexCount: member.reverseIndexCount + pool.reverseIndexCount,
    cruftCount: member.cruftCount + pool.cruftCount,
    cruftSize: member.cruftSize + pool.cruftSize,
    keepCount: member.keepCount + pool.keepCount,
    keepSize: member.keepSize + pool.keepSize,
    bitmap: pool.bitmap,
    multiPackIndex: pool.multiPackIndex,
    multiPackIndexBitmap: pool.multiPackIndexBitmap,
  };
}
