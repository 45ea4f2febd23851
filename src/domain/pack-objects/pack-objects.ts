import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { describeExit, type GitExit } from '#git/command/exit-error';
import type { Repository } from '#storage/repository';
import { ClientGoneError, joinStreams, type ServiceStreams } from '../git-service/service-streams.ts';
import { GitStartError, startService } from '../git-service/start-service.ts';
import type { PackObjectsRequest } from './pack-objects-request.ts';

/** A pack for one fetch. */
export interface PackObjectsRun {
  readonly repository: Repository;
  readonly request: PackObjectsRequest;
  /** In: the object ids. Out: the pack, and git's progress. */
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

/**
 * Makes a pack.
 *
 * @throws {GitalyError} INTERNAL `git-pack-objects: stderr: "…" err: exit status N`; CANCELLED when
 *   the reader has gone.
 */
export async function packObjects({
  repository,
  request,
  streams,
  signal,
}: PackObjectsRun): Promise<GitExit> {
  const { command, env } = request;
  try {
    await using process = await startService(repository, command, {
      env,
      stderr: streams.stderr === undefined ? 'head' : 'pipe',
      signal,
    });
    const { exit, stderr } = await joinStreams(process, streams);
    if (exit.code === 0) return exit;
    throw new GitalyError(
      'INTERNAL',
      `git-pack-objects: stderr: ${quote(stderr)} err: ${describeExit(exit)}`,
    );
  } catch (error) {
    if (error instanceof GitStartError) throw wrap(error.cause, 'starting git', 'INTERNAL');
    if (error instanceof ClientGoneError)
      throw new GitalyError('CANCELLED', messageOf(error), { cause: error });
    throw error;
  }
}
