import type { OfferedBundle } from '../bundle/offered-bundle.ts';
import type { LimitedResult } from '../git-service/run-limited.ts';
import type { ServiceRequest, ServiceResult } from '../git-service/service-streams.ts';
import type { PackRequester } from '../pack-objects/pack-limits.ts';
import type { ClientRequest } from './client-input.ts';
import type { NegotiationStatistics } from './negotiation.ts';

export interface Fetch extends ServiceRequest {
  /** Bundles that are offered to the client; absent for none. */
  readonly bundles?: readonly OfferedBundle[];
  /** The identity that limits of packs apply to. */
  readonly requester: PackRequester;
  /** Longest time for the client to send its request; absent for no limit. */
  readonly negotiationTimeoutMs?: number | undefined;
}

/** One way to answer requests of protocol v2. */
export interface FetchServer {
  /**
   * Answers a request. The caller does not wait for it after an abort.
   *
   * @returns `undefined` if another server has to answer; nothing was written then.
   * @throws {LimitRefusal}; {GitStartError}; {ClientGoneError}; {GitalyError} of an abort.
   */
  serve(request: ClientRequest, fetch: Fetch): Promise<ServiceResult | undefined>;
}

export interface FetchResult extends LimitedResult {
  readonly statistics: NegotiationStatistics;
  /** False when the statistics stopped at an invalid packet. */
  readonly isWellFormed: boolean;
}
