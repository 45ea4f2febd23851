import type { ServiceImplementation } from '#rpc/server/handler';
import type { RepositoryService } from '#wire/gen/repository_pb';
import { backupRepository } from './backup/backup-repository.ts';
import { restoreRepository } from './backup/restore-repository.ts';
import { createBundle } from './bundles/create-bundle.ts';
import { createBundleFromRefList } from './bundles/create-bundle-from-ref-list.ts';
import { fetchBundle } from './bundles/fetch-bundle.ts';
import { generateBundleURI } from './bundles/generate-bundle-uri.ts';
import { applyGitattributes } from './content/apply-gitattributes.ts';
import { fastExport } from './content/fast-export.ts';
import { findLicense } from './content/find-license.ts';
import { findMergeBase } from './content/find-merge-base.ts';
import { getArchive } from './content/get-archive.ts';
import { getConfig } from './content/get-config.ts';
import { getInfoAttributes } from './content/get-info-attributes.ts';
import { getRawChanges } from './content/get-raw-changes.ts';
import { searchFilesByContent } from './content/search-files-by-content.ts';
import { searchFilesByName } from './content/search-files-by-name.ts';
import { createFork } from './create/create-fork.ts';
import { createRepository } from './create/create-repository.ts';
import { createRepositoryFromBundle } from './create/create-repository-from-bundle.ts';
import { createRepositoryFromSnapshot } from './create/create-repository-from-snapshot.ts';
import { createRepositoryFromUrl } from './create/create-repository-from-url.ts';
import { removeAll } from './create/remove-all.ts';
import { removeRepository } from './create/remove-repository.ts';
import { renameRepository } from './create/rename-repository.ts';
import { replicateRepository } from './create/replicate-repository.ts';
import { receiveHooks } from './custom-hooks/receive-hooks.ts';
import { sendHooks } from './custom-hooks/send-hooks.ts';
import type { RepositoryDependencies } from './dependencies.ts';
import { fetchRemote } from './fetch/fetch-remote.ts';
import { fetchSourceBranch } from './fetch/fetch-source-branch.ts';
import { calculateChecksum } from './information/calculate-checksum.ts';
import { fsck } from './information/fsck.ts';
import { fullPath } from './information/full-path.ts';
import { getFileAttributes } from './information/get-file-attributes.ts';
import { getObjectDirectorySize } from './information/get-object-directory-size.ts';
import { hasLocalBranches } from './information/has-local-branches.ts';
import { migrateReferenceBackend } from './information/migrate-reference-backend.ts';
import { objectFormat } from './information/object-format.ts';
import { objectsSize } from './information/objects-size.ts';
import { repositoryInfo } from './information/repository-info.ts';
import { repositorySize } from './information/repository-size.ts';
import { setFullPath } from './information/set-full-path.ts';
import { cleanup } from './maintenance/cleanup.ts';
import { garbageCollect } from './maintenance/garbage-collect.ts';
import { midxRepack } from './maintenance/midx-repack.ts';
import { optimizeRepository } from './maintenance/optimize-repository.ts';
import { pruneUnreachableObjects } from './maintenance/prune-unreachable-objects.ts';
import { repackFull } from './maintenance/repack-full.ts';
import { repackIncremental } from './maintenance/repack-incremental.ts';
import { writeCommitGraph } from './maintenance/write-commit-graph.ts';
import { repositoryExists } from './repository-exists.ts';
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
