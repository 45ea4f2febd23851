import { messageOf } from '#base/gitaly-error';
import { bitmapCheck } from '#calls/logs/bitmap-check';
import { detailsLog } from '#calls/logs/details-log';
import { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import { ReceivePack } from '#domain/receive-pack/receive-pack';
import { UploadPack, type UploadPackOptions } from '#domain/upload-pack/upload-pack';
import type { GitTransportDependencies } from '#services/convert/request/git-transport-dependencies';
import type { ServiceFoundation } from './service-foundation.ts';

const SWEEP_FAILED = 'removing the leftovers of killed pushes failed';

/** Creates the operations for fetches and pushes over HTTP and SSH. */
export function gitTransport(
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
