import { messageOf } from '#base/gitaly-error';
import { bitmapCheck } from '#calls/logs/bitmap-check';
import { detailsLog } from '#calls/logs/details-log';
import { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { GitReceivePack } from '#domain/receive-pack/git-receive-pack';
import { FetchAnswers } from '#domain/upload-pack/fetch-answers';
import type { GitalyConfig } from '#platform/config/load-config';
import { packageVersion } from '#platform/process/version';
import { type ServedService, serve } from '#rpc/server/handler';
import { hookService } from '#services/hook/index';
import { internalGitaly } from '#services/internal/index';
import { smartHttpService } from '#services/smarthttp/index';
import { sshService } from '#services/ssh/index';
import { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import { HookService } from '#wire/gen/hook_pb';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { packServing } from './pack-serving.ts';
import type { ServiceFoundation } from './shared-operations.ts';
import { createAdvertisementCache } from './stream-caches.ts';

const SWEEP_FAILED = 'removing the leftovers of killed pushes failed';

/** Returns the services for git clients, and for git's own processes. `resources` ends them. */
export async function gitProtocolServices(
  { config, directories, logger, metrics, runtime, storages, ...shared }: ServiceFoundation,
  limits: PackLimits,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { bundleUris, hooks, voter } = shared;
  const cacheOptions = { config, storages, logger, metrics: metrics.packs };
  const traceDirectory = runtime.path;
  const packs = await packServing({
    ...cacheOptions,
    limits,
    hook: directories.packObjectsHook,
    traceDirectory,
  });
  resources.use(packs.resources);
  const receivePack = new GitReceivePack({
    hooks,
    directories,
    traceDirectory,
    onHookError: shared.onHookError,
    onSweepError: (error) => logger.warn({ error: messageOf(error) }, SWEEP_FAILED),
  });
  const transport = {
    storages,
    receivePack,
    voter,
    bundleUris,
    capabilities: new CapabilityAdvertisements(),
    packs: packs.serving,
    fetchAnswers: new FetchAnswers(),
    checkBitmaps: bitmapCheck({ logger, metrics }),
    logDetails: detailsLog(logger),
    observeGitProtocol: metrics.countGitProtocol,
  };
  const advertisements = resources.use(await createAdvertisementCache(cacheOptions, metrics.caches));
  const poolMetadata = await openPoolMetadata(config.poolMetadata, resources);
  return [
    serve(HookService, hookService({ storages, hooks, packs: packs.packs })),
    serve(InternalGitaly, internalGitaly({ storages, api: hooks.api, poolMetadata })),
    serve(
      SmartHTTPService,
      smartHttpService({
        ...transport,
        advertisements,
        serverVersion: packageVersion(),
        observeNegotiation: (statistics) => metrics.countNegotiation('smarthttp', statistics),
        cacheObserver: metrics.caches,
      }),
    ),
    serve(
      SSHService,
      sshService({
        ...transport,
        uploadPackTimeoutMs: config.timeout.uploadPackNegotiationMs,
        uploadArchiveTimeoutMs: config.timeout.uploadArchiveNegotiationMs,
        observeNegotiation: (statistics) => metrics.countNegotiation('ssh', statistics),
      }),
    ),
  ];
}

async function openPoolMetadata(
  { databasePath }: GitalyConfig['poolMetadata'],
  resources: AsyncDisposableStack,
): Promise<PoolMetadataStore | undefined> {
  return databasePath ? resources.use(await PoolMetadataStore.open(databasePath)) : undefined;
}
