import type { ConfigPair } from '#git/command/config';
import type { GitExit } from '#git/command/exit-error';
import type { Repository } from '#storage/repository';
import type { OfferedBundle } from '../bundle/offered-bundle.ts';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import type { LimitedResult } from '../git-service/run-limited.ts';
import type { ServiceStreams } from '../git-service/service-streams.ts';
import type { PackLimits, PackRequester } from '../pack-objects/pack-limits.ts';
import type { FetchAnswers } from './fetch-answers.ts';
import type { Negotiation, NegotiationStatistics } from './negotiation.ts';
import type { ShareableRequest } from './shareable-request.ts';

/** Serves requests that several clients may send. */
export interface FetchSharing {
  /**
   * Serves one request. @returns `undefined` if a separate git has to serve it; nothing was
   * written then.
   */
  serve(fetch: RequestedFetch, request: ShareableRequest): Promise<FetchResult | undefined>;
}

/** Facilities that all fetches share: the limits of packs, and responses for several clients. */
export interface PackServing {
  readonly shared: FetchSharing;
  readonly limits: PackLimits;
  /** Program for `uploadpack.packObjectsHook` that requests a turn. */
  readonly hook: string;
}

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
  /**
   * Source of the advertisement at the beginning of a conversation. Without it git serves all
   * conversations.
   */
  readonly capabilities?: CapabilityAdvertisements;
  /** Earlier responses to the same clone. Without them git serves all fetches. */
  readonly answers?: FetchAnswers;
  /** Without it packs are neither limited nor shared. Together with `requester`. */
  readonly packs?: PackServing | undefined;
  readonly requester?: PackRequester | undefined;
  /** Longest time for the client to send its request; absent for no limit. */
  readonly negotiationTimeoutMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** A fetch with the identity that limits apply to. */
export type RequestedFetch = Fetch & { readonly requester: PackRequester };

export interface FetchResult extends LimitedResult {
  readonly statistics: NegotiationStatistics;
  /** False when the statistics stopped at an invalid packet. */
  readonly isWellFormed: boolean;
}

/** When something started that was done without git. */
interface Started {
  readonly startedAt: number;
  readonly isTooSlow?: boolean;
}

/** Returns the exit of a git that was not needed. */
export function exitWithoutGit({ startedAt, isTooSlow = false }: Started): GitExit {
  return {
    code: isTooSlow ? undefined : 0,
    signal: undefined,
    ended: undefined,
    usage: undefined,
    realMs: performance.now() - startedAt,
  };
}

/** Returns the result of a fetch that was served without git. */
export function resultWithoutGit(negotiation: Negotiation, started: Started): FetchResult {
  const { isWellFormed, statistics } = negotiation;
  const { isTooSlow = false } = started;
  return { exit: exitWithoutGit(started), stderr: '', isTooSlow, statistics, isWellFormed };
}
