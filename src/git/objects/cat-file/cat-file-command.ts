import type { CommandRepository } from '#git/command/command-repository';
import { flag, gitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/process/git-process';

/** Starts a `git cat-file` that serves lookups until its input ends. */
export function startCatFile(repository: CommandRepository, signal: AbortSignal | undefined): GitProcess {
  const options = [flag('--batch-command'), flag('--buffer')];
  if (repository.git.capabilities.catFileNul) options.push(flag('-Z'));
  return repository.spawn(gitCommand('cat-file', { options }), { stdin: 'pipe', signal });
}
