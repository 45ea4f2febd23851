import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import type { OfferedBundle } from '../bundle/offered-bundle.ts';
import type { LimitedResult } from '../git-service/run-limited.ts';
import type { ServiceResult, ServiceStreams } from '../git-service/service-streams.ts';
import type { PackRequester } from '../pack-objects/pack-limits.ts';
import type { ClientRequest } from './client-input.ts';
import type { NegotiationStatistics } from './negotiation.ts';

/** Parameters of a fetch. */
export interface Fetch {
  readonly repository: Repository;
  /** One request and one answer (HTTP) instead of a conversation (SSH). */
  readonly isStateless: boolean;
  /**
   * Protocol that the client requests; values other than `version=1` and `version=2` are ignored.
   */
  readonly gitProtocol: string;
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  /** Bundles that are offered to the client; absent for none. */
  readonly bundles?: readonly OfferedBundle[];
  readonly streams: ServiceStreams;
  /** The identity that limits of packs apply to. */
  readonly requester: PackRequester;
  /** Longest time for the client to send its request; absent for no limit. */
  readonly negotiationTimeoutMs?: number | undefined;
  readonly signal: AbortSignal;
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
