import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { revisionInput } from '#git/objects/revision-input';
import type { Repository } from '#storage/repository';

/**
 * Returns the size on disk, in bytes, of all objects that are reachable from revisions; an object
 * of the repository's pool counts like its own.
 *
 * @param revisions checked; may be pseudo-revisions.
 * @throws {GitalyError} NOT_FOUND `revision not found`, INTERNAL `rev-list failed with error code
 *   128`.
 */
export async function diskUsage(
  repository: Repository,
  revisions: readonly Buffer[],
  signal: AbortSignal,
): Promise<bigint> {
  const { stdin, words } = revisionInput(repository.git, revisions);
  const command = gitCommand('rev-list', {
    options: [flag('--disk-usage'), flag('--objects'), flag('--stdin')],
    revisions: words,
    endOfRevisions: true,
  });
  try {
    const output = await repository.run(command, { input: stdin, signal });
    return BigInt(output.toString('latin1').trim());
  } catch (error) {
    if (!(error instanceof GitExitError) || error.exitCode === undefined) throw error;
    const metadata = { stderr: error.stderr };
    if (error.stderr.startsWith('fatal: bad revision'))
      throw new GitalyError('NOT_FOUND', 'revision not found', { cause: error, metadata });
    const text = `rev-list failed with error code ${error.exitCode}`;
    throw new GitalyError('INTERNAL', text, { cause: error, metadata });
  }
}
