import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import type { LimitedResult } from '../git-service/run-limited.ts';
import type { ServiceStreams } from '../git-service/service-streams.ts';
import type { Negotiation, NegotiationStatistics } from './negotiation.ts';

/** A fetch to serve. */
export interface Fetch {
  readonly repository: Repository;
  /** One request and one answer (HTTP) instead of a conversation (SSH). */
  readonly isStateless: boolean;
  /** What the client asked for; anything but `version=1` and `version=2` is ignored. */
  readonly gitProtocol: string;
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  readonly streams: ServiceStreams;
  /** What conversations begin with. Without it git serves all of them. */
  readonly capabilities?: CapabilityAdvertisements;
  /** How long the client may take to say what it wants; absent for no limit. */
  readonly negotiationTimeoutMs?: number | undefined;
  readonly signal: AbortSignal;
}

export interface FetchResult extends LimitedResult {
  readonly statistics: NegotiationStatistics;
  /** False when the statistics stopped at something that was not understood. */
  readonly isWellFormed: boolean;
}

/** The result of a fetch that git had no part in. */
export function resultWithoutGit(
  negotiation: Negotiation,
  { startedAt, isTooSlow = false }: { startedAt: number; isTooSlow?: boolean },
): FetchResult {
  const realMs = performance.now() - startedAt;
  const exit = { code: isTooSlow ? undefined : 0, signal: undefined, ended: undefined, usage: undefined, realMs };
  return { exit, stderr: '', isTooSlow, statistics: negotiation.statistics, isWellFormed: negotiation.isWellFormed };
}
