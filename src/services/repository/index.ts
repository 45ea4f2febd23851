import { serveWith } from '#rpc/server/handler';
import { RepositoryService } from '#wire/gen/repository_pb';
import { backupRepository, restoreRepository } from './backup/backup.ts';
import { createBundle, createBundleFromRefList, fetchBundle, generateBundleURI } from './bundles/bundles.ts';
import {
  applyGitattributes,
  fastExport,
  findLicense,
  findMergeBase,
  getConfig,
  getInfoAttributes,
} from './content/content.ts';
import { getArchive } from './content/get-archive.ts';
import { getRawChanges } from './content/get-raw-changes.ts';
import { searchFilesByContent, searchFilesByName } from './content/search-files.ts';
import {
  createRepository,
  createRepositoryFromBundle,
  createRepositoryFromSnapshot,
  createRepositoryFromUrl,
} from './create/create.ts';
import { createFork } from './create/create-fork.ts';
import { removeAll, removeRepository } from './create/remove-repository.ts';
import { renameRepository } from './create/rename-repository.ts';
import { replicateRepository } from './create/replicate-repository.ts';
import { receiveHooks, sendHooks } from './custom-hooks/custom-hooks.ts';
import type { RepositoryDependencies } from './dependencies.ts';
import { fetchRemote } from './fetch/fetch-remote.ts';
import { fetchSourceBranch } from './fetch/fetch-source-branch.ts';
import {
  calculateChecksum,
  fsck,
  fullPath,
  getFileAttributes,
  getObjectDirectorySize,
  hasLocalBranches,
  objectFormat,
  repositoryExists,
  repositorySize,
  setFullPath,
} from './information/information.ts';
import { migrateReferenceBackend } from './information/migrate-reference-backend.ts';
import { objectsSize } from './information/objects-size.ts';
import { repositoryInfo } from './information/repository-info.ts';
import {
  cleanup,
  garbageCollect,
  midxRepack,
  optimizeRepository,
  pruneUnreachableObjects,
  repackFull,
  repackIncremental,
  writeCommitGraph,
} from './maintenance/maintenance.ts';
import { getSnapshot } from './snapshot/get-snapshot.ts';
import { writeRef } from './write-ref.ts';

/** Repositories as a whole: making, removing, looking at them. */
export function repositoryService(deps: RepositoryDependencies) {
  return serveWith(RepositoryService, deps, {
    applyGitattributes,
    backupCustomHooks: (request, context) => sendHooks(request, context, deps),
    backupRepository,
    calculateChecksum,
    cleanup,
    createBundle,
    createBundleFromRefList,
    createFork,
    createRepository,
    createRepositoryFromBundle,
    createRepositoryFromSnapshot,
    createRepositoryFromURL: createRepositoryFromUrl,
    fastExport,
    fetchBundle,
    fetchRemote,
    fetchSourceBranch,
    findLicense,
    findMergeBase,
    fsck,
    fullPath,
    garbageCollect,
    generateBundleURI,
    getArchive,
    getConfig,
    getCustomHooks: (request, context) => sendHooks(request, context, deps),
    getFileAttributes,
    getInfoAttributes,
    getObjectDirectorySize,
    getRawChanges,
    getSnapshot,
    hasLocalBranches,
    midxRepack,
    migrateReferenceBackend,
    objectFormat,
    objectsSize,
    optimizeRepository,
    pruneUnreachableObjects,
    removeAll,
    removeRepository,
    renameRepository,
    repackFull,
    repackIncremental,
    replicateRepository,
    repositoryExists,
    repositoryInfo,
    repositorySize,
    restoreCustomHooks: (requests, context) => receiveHooks(requests, context, deps),
    restoreRepository,
    searchFilesByContent,
    searchFilesByName,
    setCustomHooks: (requests, context) => receiveHooks(requests, context, deps),
    setFullPath,
    writeCommitGraph,
    writeRef,
  });
}
