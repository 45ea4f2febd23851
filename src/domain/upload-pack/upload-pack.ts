import type { Writable } from 'node:stream';
import { abortable } from '#base/abortable';
import { messageOf } from '#base/gitaly-error';
import type { ConfigPair } from '#git/command/config';
import { abortError } from '#git/command/exit-error';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { NO_BUNDLE_URIS } from '../git-service/advertise-references.ts';
import { type LimitedResult, runLimited } from '../git-service/run-limited.ts';
import { ClientGoneError, type ServiceStreams } from '../git-service/service-streams.ts';
import { lsRefsAnswer, writePieces } from './answer-ls-refs.ts';
import { Negotiation, type NegotiationStatistics } from './negotiation.ts';
import { takeLsRefs } from './take-ls-refs.ts';

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
 * Serves a fetch to its end: the list of references by ourselves where that is sure to be what git would say, all else by
 * `git upload-pack`. A failing git is no error here: what its exit code means differs between the transports.
 *
 * @throws {GitStartError}; {ClientGoneError}; what the streams fail with; {GitalyError} of an abort.
 */
export async function uploadPack(fetch: Fetch): Promise<FetchResult> {
  const { isStateless, gitProtocol, streams, signal } = fetch;
  if (!isStateless || gitProtocol !== 'version=2') return await runGit(fetch);
  const taken = await abortable(takeLsRefs(streams.input), signal, abortError);
  const answer = taken.request && (await lsRefsAnswer(fetch.repository, taken.request, fetch));
  if (answer === undefined) return await runGit({ ...fetch, streams: { ...streams, input: taken.input } });

  const startedAt = performance.now();
  await abortable(send(answer, streams.stdout), signal, abortError);
  const negotiation = new Negotiation();
  negotiation.push(taken.bytes);
  const exit = { code: 0, signal: undefined, ended: undefined, usage: undefined, realMs: performance.now() - startedAt };
  return { exit, stderr: '', isTooSlow: false, statistics: negotiation.statistics, isWellFormed: negotiation.isWellFormed };
}

async function send(answer: readonly Buffer[], stdout: Writable): Promise<void> {
  try {
    await writePieces(answer, stdout);
  } catch (error) {
    throw new ClientGoneError(messageOf(error), { cause: error });
  }
}

async function runGit(fetch: Fetch): Promise<FetchResult> {
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
