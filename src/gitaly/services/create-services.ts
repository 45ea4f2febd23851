import { sharedDiffs } from '#domain/diff/large-diffs';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { GITALY_RELEASE } from '#platform/process/version';
import { type ServedService, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { reflectionServices } from '#rpc/server/reflection';
import { analysisService } from '#services/analysis/index';
import { archiveCalls, archiveService } from '#services/archives/index';
import { backupRunService } from '#services/backup-runs/index';
import { blobService } from '#services/blob/index';
import { cleanupService } from '#services/cleanup/index';
import { commitService } from '#services/commit/index';
import { conflictsService } from '#services/conflicts/index';
import { diffService } from '#services/diff/index';
import { eventService } from '#services/events/index';
import { lifetimeService } from '#services/lifetimes/index';
import { namespaceService } from '#services/namespace/index';
import { operationService } from '#services/operation/index';
import { KnownCommits } from '#services/ref/branches/known-commits';
import { refService } from '#services/ref/index';
import { RememberedLists } from '#services/ref/remembered-lists';
import { serverService } from '#services/server/index';
import { settingsService } from '#services/settings/index';
import { wikiService } from '#services/wiki/index';
import { servedByGitaly } from '#wire/methods';
import { answerForArchives, remoteArchives } from '../family/remote-archives.ts';
import type { Foundation } from '../foundation.ts';
import type { ServerRepositories } from '../repositories.ts';
import { gitProtocolServices } from './git-protocol.ts';
import { repositoryServices } from './repositories.ts';
import type { ServiceFoundation } from './shared-operations.ts';
import { createSharedOperations } from './shared-operations.ts';
import { createDiffCache } from './stream-caches.ts';

/**
 * Creates all services of a gitaly on shared domain operations. Methods that are not implemented
 * return UNIMPLEMENTED. `resources` releases what the services use.
 */
export async function createServices(
  foundation: Foundation,
  repositories: ServerRepositories,
  packLimits: PackLimits,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { storages } = repositories;
  const operations = await createSharedOperations(foundation, storages, resources);
  const shared: ServiceFoundation = { ...foundation, ...repositories, ...operations };
  const built = [
    ...(await readingServices(shared, resources)),
    ...writingServices(shared),
    ...(await repositoryServices(shared, resources)),
    ...(await gitProtocolServices(shared, packLimits, resources)),
    // Only clients of older releases call these two.
    namespaceService({ storages }),
    wikiService({ storages, hooks: shared.hooks }),
  ];
  const names = new Set(built.map(({ service }) => service.typeName));
  const rest = servedByGitaly
    .filter(({ typeName }) => !names.has(typeName))
    .map((service) => serve(service, {}));
  const served = [...built, ...rest, healthService(storages.presence)];
  return [...served, ...reflectionServices(served)];
}

/** Returns the services that only read. `resources` releases what they use. */
async function readingServices(
  { config, family, feed, fillsOldFields, logger, metrics, signingKeys, storages }: ServiceFoundation,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { observeListCommitsByOid } = metrics;
  const cacheOptions = { config, family, storages, logger, metrics: metrics.packs };
  storages.caches.diffOutputs.large = sharedDiffs(resources.use(await createDiffCache(cacheOptions)));
  return [
    analysisService({ storages }),
    blobService({ storages }),
    commitService({ storages, signingKeys, fillsOldFields, observeListCommitsByOid }),
    diffService({ storages }),
    ...(feed === undefined ? [] : [eventService({ feed })]),
    serverService({ storages, serverVersion: GITALY_RELEASE, signingKeys }),
  ];
}

/** Returns the services that change commits and references, and those of archives and of backup results. */
function writingServices({
  archive,
  commitSigning,
  family,
  fillsOldFields,
  hooks,
  lastBackups,
  remotes,
  storages,
  transactionHooks,
  voteOf,
}: ServiceFoundation): readonly ServedService[] {
  const votes = { voteOf, transactionHooks };
  const [lists, knownCommits] = [new RememberedLists(), new KnownCommits()];
  const archives =
    family?.role === 'worker' ? remoteArchives(family.link) : archiveCalls({ archive, storages });
  if (family?.role === 'supervisor') answerForArchives(family.desk, archives);
  return [
    archiveService(archives),
    backupRunService({ storages, lastBackups }),
    cleanupService({ storages, ...votes }),
    conflictsService({ storages, hooks, remotes }),
    lifetimeService({ storages }),
    operationService({ storages, hooks, remotes, commitSigning, ...votes }),
    refService({ storages, lists, knownCommits, fillsOldFields, ...votes }),
    settingsService({ storages, voteOf }),
  ];
}
