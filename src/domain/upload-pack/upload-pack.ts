import type { ConfigPair } from '#git/command/config';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { NO_BUNDLE_URIS } from '../git-service/advertise-references.ts';
import { type LimitedResult, runLimited } from '../git-service/run-limited.ts';
import type { ServiceStreams } from '../git-service/service-streams.ts';
import { Negotiation, type NegotiationStatistics } from './negotiation.ts';

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
  /** How long the client may take to say what it wants; absent for no limit. */
  readonly negotiationTimeoutMs?: number | undefined;
  readonly signal: AbortSignal;
}

export interface FetchResult extends LimitedResult {
  readonly statistics: NegotiationStatistics;
  /** False when the statistics stopped at something that was not understood. */
  readonly isWellFormed: boolean;
}

/** The packet after which the pack is made: no more is asked. */
const DONE = Buffer.from('done\n');

/**
 * Runs `git upload-pack` to its end. A failing git is no error here: what its exit code means differs between the transports.
 *
 * @throws {GitStartError}; what the streams fail with.
 */
export async function uploadPack(fetch: Fetch): Promise<FetchResult> {
  const { repository, isStateless, gitProtocol, streams, negotiationTimeoutMs, signal } = fetch;
  const command = gitCommand('upload-pack', { options: isStateless ? [flag('--stateless-rpc')] : [], args: [repository.path] });
  const negotiation = new Negotiation();
  const result = await runLimited(repository, command, {
    config: [...fetch.config, NO_BUNDLE_URIS],
    gitProtocol,
    streams,
    limit: negotiationTimeoutMs === undefined ? undefined : { timeoutMs: negotiationTimeoutMs, until: DONE },
    observe: (chunk) => negotiation.push(chunk),
    signal,
  });
  return { ...result, statistics: negotiation.statistics, isWellFormed: negotiation.isWellFormed };
}
