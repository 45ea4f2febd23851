import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { packageVersion } from '#platform/process/version';
import type { ServedService } from '#rpc/server/handler';
import { hookService } from '#services/hook/index';
import { internalGitaly } from '#services/internal/index';
import { smartHttpService } from '#services/smarthttp/index';
import { sshService } from '#services/ssh/index';
import { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import { gitTransport } from './git-transport.ts';
import { packServing } from './pack-serving.ts';
import type { ServiceFoundation } from './service-foundation.ts';
import { createAdvertisementCache } from './stream-caches.ts';

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
