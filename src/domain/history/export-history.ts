import { flag, gitCommand } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import type { Repository } from '#storage/repository';

export interface ExportOptions {
  readonly signal: AbortSignal;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/**
 * Yields the history of all references in the format of `git fast-import`. A failure of git ends
 * the stream and is only logged, as by Gitaly; the stream then lacks its last line, `done` is not
 * used.
 */
export function exportHistory(
  repository: Repository,
  { signal, log }: ExportOptions,
): AsyncGenerator<Buffer> {
  const command = gitCommand('fast-export', { options: [flag('--all')] });
  return ignoringGitFailure(outputBytes(repository, command, { signal }), log);
}
