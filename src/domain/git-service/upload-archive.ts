import { gitCommand } from '#git/command/git-command';
import { requireDepthOf } from '#git/trees/tree-depth';
import type { Repository } from '#storage/repository';
import { ArchiveTree } from './archive-tree.ts';
import { type LimitedResult, runLimited } from './run-limited.ts';
import type { ServiceStreams } from './service-streams.ts';

/** A request for a remote archive. */
export interface RemoteArchive {
  readonly repository: Repository;
  readonly streams: ServiceStreams;
  /** Time limit for the client's arguments, which end with a flush packet. */
  readonly negotiationTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Runs `git upload-archive` to its end.
 *
 * @throws {GitStartError}; errors of the streams; {GitalyError} FAILED_PRECONDITION when git failed
 *   and the directories are nested too deep: old versions die of a segmentation fault then.
 */
export async function uploadArchive({
  repository,
  streams,
  negotiationTimeoutMs,
  signal,
}: RemoteArchive): Promise<LimitedResult> {
  const command = gitCommand('upload-archive', { args: [repository.path] });
  const limit = { timeoutMs: negotiationTimeoutMs, until: 'flush' } as const;
  const tree = new ArchiveTree();
  const result = await runLimited(repository, command, {
    ...{ config: [], gitProtocol: '', streams, limit, signal },
    observe: (chunk) => tree.push(chunk),
  });
  if (result.exit.code !== 0 && !result.isTooSlow && tree.name !== undefined)
    await requireDepth(repository, tree.name, signal);
  return result;
}

async function requireDepth(repository: Repository, name: string, signal: AbortSignal): Promise<void> {
  const object = await repository.objects.info(name, { signal }).catch(() => undefined);
  if (object !== undefined) await requireDepthOf(repository, `${object.oid}^{tree}`, signal);
}
