import type { CommandRepository } from '#git/command/command-repository';
import { flag, gitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/process/git-process';

/** The command of every transaction. */
export const UPDATE_REF = gitCommand('update-ref', { options: [flag('-z'), flag('--stdin')] });

/** Starts an `update-ref` without hooks, which can serve one transaction after another. */
export function startUpdateRef(repository: CommandRepository): GitProcess {
  return repository.spawn(UPDATE_REF, { hooks: 'disabled', stdin: 'pipe' });
}
