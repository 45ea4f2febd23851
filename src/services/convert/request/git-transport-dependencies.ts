import type { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import type { ReceivePack } from '#domain/receive-pack/receive-pack';
import type { Voter } from '#domain/transactions/voter';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { UploadPack } from '#domain/upload-pack/upload-pack';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { MethodInfo } from '#wire/method-info';
import type { DetailsLog } from '../response/details-log.ts';
import type { BundleDependencies } from './bundle-uri.ts';

/** Dependencies of the services that communicate with git clients. */
export interface GitTransportDependencies extends BundleDependencies {
  readonly storages: Storages;
  readonly uploadPack: UploadPack;
  readonly receivePack: ReceivePack;
  readonly voter: Voter;
  /** Of `git upload-pack`. */
  readonly capabilities: CapabilityAdvertisements;
  /** Of `git receive-pack`. */
  readonly pushCapabilities: CapabilityAdvertisements;
  /** Checks the bitmaps of the repository, for `gitaly_bad_bitmap_request_total`. */
  readonly checkBitmaps?: ((repository: Repository, context: HandlerContext) => Promise<void>) | undefined;
  /** Logs `request details` of a fetch that succeeded. */
  readonly logDetails?: DetailsLog | undefined;
  /** `gitaly_git_protocol_requests_total`: `Git-Protocol` of the request, unchanged. */
  readonly observeGitProtocol?: ((method: MethodInfo, gitProtocol: string) => void) | undefined;
  /** `gitaly_{smarthttp,ssh}_packfile_negotiation_requests_total` and the histogram of depths. */
  readonly observeNegotiation?: ((statistics: NegotiationStatistics) => void) | undefined;
}
