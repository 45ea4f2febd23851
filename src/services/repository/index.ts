import type { ServiceImplementation } from '#rpc/server/handler';
import type { RepositoryService } from '#wire/gen/repository_pb';
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
export function repositoryService(
  deps: RepositoryDependencies,
): ServiceImplementation<typeof RepositoryService> {
  return {
    applyGitattributes: (request, context) => applyGitattributes(request, context, deps),
    backupCustomHooks: (request, context) => sendHooks(request, context, deps),
    backupRepository: (request, context) => backupRepository(request, context, deps),
    calculateChecksum: (request, context) => calculateChecksum(request, context, deps),
    cleanup: (request, context) => cleanup(request, context, deps),
    createBundle: (request, context) => createBundle(request, context, deps),
    createBundleFromRefList: (requests, context) => createBundleFromRefList(requests, context, deps),
    createFork: (request, context) => createFork(request, context, deps),
    createRepository: (request, context) => createRepository(request, context, deps),
    createRepositoryFromBundle: (requests, context) => createRepositoryFromBundle(requests, context, deps),
    createRepositoryFromSnapshot: (request, context) => createRepositoryFromSnapshot(request, context, deps),
    createRepositoryFromURL: (request, context) => createRepositoryFromUrl(request, context, deps),
    fastExport: (request, context) => fastExport(request, context, deps),
    fetchBundle: (requests, context) => fetchBundle(requests, context, deps),
    fetchRemote: (request, context) => fetchRemote(request, context, deps),
    fetchSourceBranch: (request, context) => fetchSourceBranch(request, context, deps),
    findLicense: (request, context) => findLicense(request, context, deps),
    findMergeBase: (request, context) => findMergeBase(request, context, deps),
    fsck: (request, context) => fsck(request, context, deps),
    fullPath: (request, context) => fullPath(request, context, deps),
    garbageCollect: (request, context) => garbageCollect(request, context, deps),
    generateBundleURI: (request, context) => generateBundleURI(request, context, deps),
    getArchive: (request, context) => getArchive(request, context, deps),
    getConfig: (request) => getConfig(request, deps),
    getCustomHooks: (request, context) => sendHooks(request, context, deps),
    getFileAttributes: (request, context) => getFileAttributes(request, context, deps),
    getInfoAttributes: (request, context) => getInfoAttributes(request, context, deps),
    getObjectDirectorySize: (request) => getObjectDirectorySize(request, deps),
    getRawChanges: (request, context) => getRawChanges(request, context, deps),
    getSnapshot: (request, context) => getSnapshot(request, context, deps),
    hasLocalBranches: (request, context) => hasLocalBranches(request, context, deps),
    midxRepack: (request, context) => midxRepack(request, context, deps),
    migrateReferenceBackend: (request, context) => migrateReferenceBackend(request, context, deps),
    objectFormat: (request) => objectFormat(request, deps),
    objectsSize: (requests, context) => objectsSize(requests, context, deps),
    optimizeRepository: (request, context) => optimizeRepository(request, context, deps),
    pruneUnreachableObjects: (request, context) => pruneUnreachableObjects(request, context, deps),
    removeAll: (request) => removeAll(request, deps),
    removeRepository: (request, context) => removeRepository(request, context, deps),
    renameRepository: (request) => renameRepository(request, deps),
    repackFull: (request, context) => repackFull(request, context, deps),
    repackIncremental: (request, context) => repackIncremental(request, context, deps),
    replicateRepository: (request, context) => replicateRepository(request, context, deps),
    repositoryExists: (request) => repositoryExists(request, deps),
    repositoryInfo: (request) => repositoryInfo(request, deps),
    repositorySize: (request) => repositorySize(request, deps),
    restoreCustomHooks: (requests, context) => receiveHooks(requests, context, deps),
    restoreRepository: (request, context) => restoreRepository(request, context, deps),
    searchFilesByContent: (request, context) => searchFilesByContent(request, context, deps),
    searchFilesByName: (request, context) => searchFilesByName(request, context, deps),
    setCustomHooks: (requests, context) => receiveHooks(requests, context, deps),
    setFullPath: (request, context) => setFullPath(request, context, deps),
    writeCommitGraph: (request, context) => writeCommitGraph(request, context, deps),
    writeRef: (request, context) => writeRef(request, context, deps),
  };
}
