import { messageOf } from '#base/gitaly-error';
import { parseBool } from '#base/go/strconv';
import { observeApi } from '#calls/logs/api-log';
import { bitmapCheck } from '#calls/logs/bitmap-check';
import type { ServerMetrics } from '#calls/metrics';
import { votesOverBackchannels } from '#calls/reverse-votes';
import { runningCall } from '#calls/running-call';
import { traceVariables } from '#calls/tracing/trace-variables';
import type { Tracing } from '#calls/tracing/tracing';
import { BundleUris } from '#domain/bundle/bundle-uris';
import { CommitSigning } from '#domain/commit/commit-signing';
import { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import { standAloneApi } from '#domain/gitlab-api/stand-alone-api';
import { HookManager } from '#domain/hooks/hook-manager';
import { HooksDirectories } from '#domain/hooks/hooks-directories';
import type { Housekeeping } from '#domain/housekeeping/housekeeping';
import { LicenseCache } from '#domain/license/license-cache';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { GitReceivePack } from '#domain/receive-pack/git-receive-pack';
import { RemoteRepositories } from '#domain/remote-repository/remote-repositories';
import { SigningKeys } from '#domain/signing/signing-keys';
import { type TransactionHooks, transactionHooks } from '#domain/transactions/transaction-hooks';
import { Voter } from '#domain/transactions/voter';
import { FetchAnswers } from '#domain/upload-pack/fetch-answers';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { PrivatePrograms } from '#platform/process/private-programs';
import type { RuntimeDirectory } from '#platform/process/runtime-directory';
import { GITALY_RELEASE, packageVersion } from '#platform/process/version';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import type { Backchannels } from '#rpc/server/connection/backchannels';
import { type HandlerContext, type ServedService, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { reflectionServices } from '#rpc/server/reflection';
import { analysisService } from '#services/analysis/index';
import { backupService } from '#services/backup/index';
import { blobService } from '#services/blob/index';
import { cleanupService } from '#services/cleanup/index';
import { commitService } from '#services/commit/index';
import { conflictsService } from '#services/conflicts/index';
import { transactionOf } from '#services/convert/request/push-context';
import { diffService } from '#services/diff/index';
import { hookService } from '#services/hook/index';
import { internalGitaly } from '#services/internal/index';
import { namespaceService } from '#services/namespace/index';
import { objectPoolService } from '#services/objectpool/index';
import { operationService } from '#services/operation/index';
import { partitionService } from '#services/partition/index';
import { raftService } from '#services/raft/index';
import { refService } from '#services/ref/index';
import { RememberedLists } from '#services/ref/remembered-lists';
import { remoteService } from '#services/remote/index';
import { repositoryService } from '#services/repository/index';
import { serverService } from '#services/server/index';
import { smartHttpService } from '#services/smarthttp/index';
import { sshService } from '#services/ssh/index';
import { wikiService } from '#services/wiki/index';
import type { Vote } from '#storage/lifecycle/voter';
import { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import { AnalysisService } from '#wire/gen/analysis_pb';
import { BackupService } from '#wire/gen/backup_pb';
import { BlobService } from '#wire/gen/blob_pb';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { RaftService } from '#wire/gen/cluster_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { HookService } from '#wire/gen/hook_pb';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { NamespaceService } from '#wire/gen/namespace_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { PartitionService } from '#wire/gen/partition_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RemoteService } from '#wire/gen/remote_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { WikiService } from '#wire/gen/wiki_pb';
import { servedByGitaly } from '#wire/methods';
import { openBuckets } from './buckets.ts';
import { internalApi } from './internal-api.ts';
import { lfsFilterSettings } from './lfs-filter-settings.ts';
import { packServing } from './pack-serving.ts';
import { createAdvertisementCache, createStreamCache } from './stream-caches.ts';

export interface ServiceParts {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  readonly storages: Storages;
  readonly housekeeping: Housekeeping;
  readonly runtime: RuntimeDirectory;
  readonly programs: PrivatePrograms;
  readonly backchannels: Backchannels<GrpcChannel>;
  readonly tracing: Tracing | undefined;
  readonly packLimits: PackLimits;
}

/**
 * Creates all services of a gitaly on shared domain operations. Methods that are not built return
 * UNIMPLEMENTED. `resources` closes what the services hold.
 */
export async function createServices(
  parts: ServiceParts,
): Promise<{ services: readonly ServedService[]; resources: AsyncDisposable }> {
  const { config, logger, metrics, storages, housekeeping, runtime } = parts;
  const resources = new AsyncDisposableStack();
  const serverVersion = packageVersion();

  const voter = new Voter({
    connect: votesOverBackchannels(parts.backchannels),
    observeDelay: metrics.observeVotingDelay,
  });
  const skipsGitlab = parseBool(process.env.GITALY_TESTING_NO_GIT_HOOKS ?? '') === true;
  if (skipsGitlab) {
    logger.warn(
      'skipping GitLab API client creation since hooks are bypassed via GITALY_TESTING_NO_GIT_HOOKS',
    );
  }
  const hooks = new HookManager({
    storages,
    api: skipsGitlab ? standAloneApi : await internalApi(config, observeApi(metrics, logger)),
    voter,
    customHooksDirectory: config.hooks.customHooksDir ?? '',
    ...(parts.tracing && {
      observe: (hook: string) => parts.tracing?.hook(runningCall(), hook),
      scriptVariables: () => traceVariables(parts.tracing),
    }),
    onWarning: (message, error) => logger.warn({ error: messageOf(error) }, message),
  });
  const remotes = resources.use(new RemoteRepositories());
  const directories = resources.use(
    await HooksDirectories.create(runtime.path, parts.programs.path('gitaly-hooks')),
  );
  const onHookError = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'error executing git hook');
  const receivePack = new GitReceivePack({
    hooks,
    directories,
    traceDirectory: runtime.path,
    onHookError,
    onSweepError: (error) =>
      logger.warn({ error: messageOf(error) }, 'removing the leftovers of killed pushes failed'),
  });
  const capabilities = new CapabilityAdvertisements();
  const fetchAnswers = new FetchAnswers();
  const cacheParts = { config, storages, logger, metrics: metrics.packs };
  const packs = await packServing({
    ...cacheParts,
    limits: parts.packLimits,
    hook: directories.packObjectsHook,
    traceDirectory: runtime.path,
  });
  resources.use(packs.resources);
  const voteOf = (context: HandlerContext): Vote | undefined =>
    voter.voteOf(transactionOf(context), { signal: context.signal });
  const hooksOf = (context: HandlerContext, repository: Repository): TransactionHooks | undefined => {
    const vote = voteOf(context);
    return vote && transactionHooks(repository, { vote, directories, onError: onHookError });
  };

  const { signingKey = '', rotatedSigningKeys: rotated, committerName, committerEmail } = config.git;
  const signingKeys = signingKey === '' ? undefined : new SigningKeys({ signingKey, rotated });
  const commitSigning = new CommitSigning({ keys: signingKeys, committerName, committerEmail });
  await signingKeys?.all().catch((error: unknown) => {
    logger.warn(
      { error: messageOf(error) },
      'a signing key cannot be used: calls that need it fail until its file is replaced',
    );
  });

  const buckets = await openBuckets(config, logger);
  const bundleUris = buckets.bundleUri && new BundleUris(buckets.bundleUri, metrics.backups.observeBundleUri);
  const { databasePath } = config.poolMetadata;
  const poolMetadata = databasePath ? resources.use(await PoolMetadataStore.open(databasePath)) : undefined;

  const fillsOldFields = Number.parseFloat(config.compatibility.oldestClient) < 16;
  const checkBitmaps = bitmapCheck({ logger, metrics });
  const built: ServedService[] = [
    serve(AnalysisService, analysisService({ storages })),
    serve(BackupService, backupService({ bucket: buckets.backup })),
    serve(BlobService, blobService({ storages })),
    serve(CleanupService, cleanupService({ storages, voteOf, transactionHooks: hooksOf })),
    serve(
      CommitService,
      commitService({
        storages,
        signingKeys,
        fillsOldFields,
        observeListCommitsByOid: metrics.observeListCommitsByOid,
      }),
    ),
    serve(ConflictsService, conflictsService({ storages, hooks, remotes })),
    serve(DiffService, diffService({ storages })),
    serve(HookService, hookService({ storages, hooks, packs: packs.packs })),
    serve(InternalGitaly, internalGitaly({ storages, api: hooks.api, poolMetadata })),
    serve(NamespaceService, namespaceService({ storages })),
    serve(
      ObjectPoolService,
      objectPoolService({ storages, housekeeping, voteOf, transactionHooks: hooksOf }),
    ),
    serve(
      OperationService,
      operationService({ storages, hooks, remotes, commitSigning, voteOf, transactionHooks: hooksOf }),
    ),
    serve(PartitionService, partitionService({ hasBackups: buckets.backup !== undefined })),
    serve(RaftService, raftService()),
    serve(RemoteService, remoteService({ storages })),
    serve(
      RefService,
      refService({
        storages,
        lists: new RememberedLists(),
        voteOf,
        transactionHooks: hooksOf,
        fillsOldFields,
      }),
    ),
    serve(
      RepositoryService,
      repositoryService({
        archives: {
          streams: resources.use(await createStreamCache<void>('archiveCache', cacheParts)),
          isCacheEnabled: config.archiveCache.enabled,
        },
        lfsFilter: lfsFilterSettings(config, parts.programs.path('gitaly-lfs-smudge')),
        licenses: new LicenseCache(),
        housekeeping,
        remotes,
        storages,
        voteOf,
        transactionHooks: hooksOf,
        backups: buckets.backup && { bucket: buckets.backup, observer: metrics.backups },
        offloading: config.offloading,
        bundleUris,
      }),
    ),
    serve(ServerService, serverService({ storages, serverVersion: GITALY_RELEASE, signingKeys })),
    serve(
      SmartHTTPService,
      smartHttpService({
        storages,
        receivePack,
        voter,
        bundleUris,
        capabilities,
        packs: packs.serving,
        fetchAnswers,
        advertisements: resources.use(await createAdvertisementCache(cacheParts, metrics.caches)),
        serverVersion,
        checkBitmaps,
        observeGitProtocol: metrics.countGitProtocol,
        observeNegotiation: (statistics) => metrics.countNegotiation('smarthttp', statistics),
        cacheObserver: metrics.caches,
      }),
    ),
    serve(
      SSHService,
      sshService({
        storages,
        receivePack,
        capabilities,
        voter,
        bundleUris,
        packs: packs.serving,
        fetchAnswers,
        uploadPackTimeoutMs: config.timeout.uploadPackNegotiationMs,
        uploadArchiveTimeoutMs: config.timeout.uploadArchiveNegotiationMs,
        checkBitmaps,
        observeGitProtocol: metrics.countGitProtocol,
        observeNegotiation: (statistics) => metrics.countNegotiation('ssh', statistics),
      }),
    ),
    serve(WikiService, wikiService({ storages, hooks })),
  ];
  const names = new Set(built.map(({ service }) => service.typeName));
  const rest = servedByGitaly
    .filter(({ typeName }) => !names.has(typeName))
    .map((service) => serve(service, {}));
  const served = [...built, ...rest, healthService(storages.presence)];
  return { services: [...served, ...reflectionServices(served)], resources };
}
