import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';

/**
 * Packs the references.
 *
 * @throws {GitalyError} INTERNAL `packing refs: exit status 128, stderr: "…"`.
 */
export async function packReferences(repository: Repository, signal: AbortSignal): Promise<void> {
  const options = repository.git.capabilities.packRefsAuto ? ['--auto', '--all'] : ['--all'];
  const command = gitCommand('pack-refs', { options: options.map(flag) });
  await repository.run(command, { signal }).catch((error: unknown) => {
    if (!(error instanceof GitExitError)) throw error;
    const message = `packing refs: ${error.message}, stderr: ${quote(error.stderr)}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  });
}
