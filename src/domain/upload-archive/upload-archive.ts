import { gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { type LimitedResult, runLimited } from '../git-service/run-limited.ts';
import type { ServiceStreams } from '../git-service/service-streams.ts';

/** A remote archive to make. */
export interface RemoteArchive {
  readonly repository: Repository;
  readonly streams: ServiceStreams;
  /** How long the client may take to send its arguments, which end with a flush packet. */
  readonly negotiationTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Runs `git upload-archive` to its end.
 *
 * @throws {GitStartError}; what the streams fail with.
 */
export async function uploadArchive({
  repository,
  streams,
  negotiationTimeoutMs,
  signal,
}: RemoteArchive): Promise<LimitedResult> {
  const command = gitCommand('upload-archive', { args: [repository.path] });
  const limit = { timeoutMs: negotiationTimeoutMs, until: 'flush' } as const;
  return await runLimited(repository, command, { config: [], gitProtocol: '', streams, limit, signal });
}
