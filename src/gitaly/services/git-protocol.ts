import { messageOf } from '#base/gitaly-error';
import { bitmapCheck } from '#calls/logs/bitmap-check';
import { detailsLog } from '#calls/logs/details-log';
import { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import type { ServiceResult } from '#domain/git-service/service-streams';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { SharedPacks } from '#domain/pack-objects/shared-packs';
import { ReceivePack } from '#domain/receive-pack/receive-pack';
import { SharedFetches } from '#domain/upload-pack/shared-fetches';
import { UploadPack, type UploadPackOptions } from '#domain/upload-pack/upload-pack';
import { packageVersion } from '#platform/process/version';
import type { ServedService } from '#rpc/server/handler';
import type { GitTransportDependencies } from '#services/convert/request/git-transport-dependencies';
import { hookService } from '#services/hook/index';
import { internalGitaly } from '#services/internal/index';
import { smartHttpService } from '#services/smarthttp/index';
import { sshService } from '#services/ssh/index';
import { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import type { OpenCacheOptions } from './open-cache.ts';
import type { ServiceFoundation } from './shared-operations.ts';
import { createAdvertisementCache, createStreamCache } from './stream-caches.ts';

/** Returns the services for git clients, and for git's own processes. `resources` ends them. */
export async function gitProtocolServices(
  shared: ServiceFoundation,
  limits: PackLimits,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { config, family, directories, hooks, logger, metrics, runtime, storages } = shared;
  const { databasePath } = config.poolMetadata;
  const cacheOptions = { config, family, storages, logger, metrics: metrics.packs };
  const traceDirectory = runtime.path;
  const hook = directories.packObjectsHook;
  const packs = await packServing({ ...cacheOptions, limits, hook, traceDirectory });
  resources.use(packs.resources);
  const transport = gitTransport(shared, traceDirectory, packs);
  const smartHttp = {
    ...transport,
    advertisements: resources.use(await createAdvertisementCache(cacheOptions, metrics.caches)),
    serverVersion: packageVersion(),
    observeNegotiation: metrics.countNegotiation.bind(metrics, 'smarthttp'),
    cacheObserver: metrics.caches,
  };
  const ssh = {
    ...transport,
    uploadPackTimeoutMs: config.timeout.uploadPackNegotiationMs,
    uploadArchiveTimeoutMs: config.timeout.uploadArchiveNegotiationMs,
    observeNegotiation: metrics.countNegotiation.bind(metrics, 'ssh'),
  };
  const poolMetadata = databasePath ? resources.use(await PoolMetadataStore.open(databasePath)) : undefined;
  return [
    hookService({ storages, hooks, packs: packs.packs }),
    internalGitaly({ storages, api: hooks.api, poolMetadata }),
    smartHttpService(smartHttp),
    sshService(ssh),
  ];
}

const SWEEP_FAILED = 'removing the leftovers of killed pushes failed';

/** Creates the operations for fetches and pushes over HTTP and SSH. */
function gitTransport(
  { bundleUris, directories, hooks, logger, metrics, storages, voter, ...shared }: ServiceFoundation,
  traceDirectory: string,
  packs: Omit<UploadPackOptions, 'capabilities'>,
): GitTransportDependencies {
  const capabilities = new CapabilityAdvertisements();
  const pushCapabilities = new CapabilityAdvertisements();
  const receivePack = new ReceivePack({
    hooks,
    directories,
    traceDirectory,
    capabilities: pushCapabilities,
    onHookError: shared.onHookError,
    onSweepError: (error) => logger.warn({ error: messageOf(error) }, SWEEP_FAILED),
  });
  return {
    storages,
    uploadPack: new UploadPack({ ...packs, capabilities }),
    receivePack,
    voter,
    bundleUris,
    makesBundles: shared.config.bundleUri.automatic,
    capabilities,
    pushCapabilities,
    checkBitmaps: bitmapCheck({ logger, metrics }),
    logDetails: detailsLog(logger),
    observeGitProtocol: metrics.countGitProtocol,
  };
}

interface PackServingOptions extends OpenCacheOptions {
  readonly limits: PackLimits;
  /** Program for `uploadpack.packObjectsHook`. */
  readonly hook: string;
  /** Directory of this process. */
  readonly traceDirectory: string;
}

/** Creates the state that fetches share. `packs` is for hooks of other programs. `resources` releases all. */
async function packServing({ limits, hook, traceDirectory, ...options }: PackServingOptions) {
  const isContended = (): boolean => limits.isContended;
  const streams = await createStreamCache<ServiceResult>('packObjectsCache', { ...options, isContended });
  limits.onContention = () => streams.relieve();
  const { config, metrics: observer } = options;
  const isCacheEnabled = config.packObjectsCache.enabled;
  const shareable = { streams, limits, observer, isCacheEnabled, traceDirectory };
  return {
    shared: new SharedFetches(shareable),
    turns: { limits, hook },
    packs: new SharedPacks(shareable),
    resources: streams,
  };
}
