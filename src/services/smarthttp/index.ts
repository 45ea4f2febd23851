import { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import type { ReceivePack } from '#domain/receive-pack/receive-pack';
import type { Voter } from '#domain/transactions/voter';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { MethodInfo } from '#wire/method-info';
import { infoRefsReceivePack } from './info-refs-receive-pack.ts';
import { infoRefsUploadPack } from './info-refs-upload-pack.ts';
import { postReceivePack } from './post-receive-pack.ts';
import { postUploadPack } from './post-upload-pack.ts';
import { postUploadPackWithSidechannel } from './post-upload-pack-with-sidechannel.ts';

export interface SmartHttpRooms {
  readonly storages: Storages;
  readonly receivePack: ReceivePack;
  readonly voter: Voter;
  /** Of `git upload-pack`. */
  readonly capabilities: CapabilityAdvertisements;
  /** Part of the key of cached answers: another release may answer otherwise. */
  readonly serverVersion: string;
  /** `gitaly_git_protocol_requests_total`: what the request asks for, as it stands there. */
  readonly observeGitProtocol?: ((method: MethodInfo, gitProtocol: string) => void) | undefined;
  /** `gitaly_smarthttp_packfile_negotiation_requests_total` and the histogram of depths. */
  readonly observeNegotiation?: ((statistics: NegotiationStatistics) => void) | undefined;
  /** `gitaly_inforef_cache_attempt_total`, `gitaly_inforef_cache_hit_miss_total{type}`. */
  readonly observeInfoRefsCache?: ((event: 'attempt' | 'hit' | 'miss' | 'err') => void) | undefined;
}

/** Clones, fetches and pushes as they come over HTTP: one request, one answer. */
export function smartHttpService(rooms: SmartHttpRooms): ServiceImplementation<typeof SmartHTTPService> {
  const ofReceivePack = new CapabilityAdvertisements();
  return {
    infoRefsReceivePack: (request, context) => infoRefsReceivePack(request, context, rooms, ofReceivePack),
    infoRefsUploadPack: (request, context) => infoRefsUploadPack(request, context, rooms),
    postReceivePack: (requests, context) => postReceivePack(requests, context, rooms),
    postUploadPack: (requests, context) => postUploadPack(requests, context, rooms),
    postUploadPackWithSidechannel: (request, context) => postUploadPackWithSidechannel(request, context, rooms),
  };
}
