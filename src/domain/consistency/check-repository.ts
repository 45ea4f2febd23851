import { flag, gitCommand } from '#git/command/git-command';
import { mergedOutput } from '#git/command/merged-output';
import type { Repository } from '#storage/repository';

export interface CheckOptions {
  /** Leaves out packs, also those of alternates (git: `--no-full`). */
  readonly repoOnly: boolean;
  readonly signal: AbortSignal;
}

/** Limit of a report. The rest is dropped, because clients accept messages of 4 MiB. */
const MAX_REPORT_BYTES = 3 << 20;

/**
 * Checks a repository with `git fsck`. Returns what git prints, on either stream, if it finds a
 * problem; `undefined` otherwise.
 */
export async function checkRepository(
  repository: Repository,
  { repoOnly, signal }: CheckOptions,
): Promise<Buffer | undefined> {
  const options = [flag('--no-progress'), flag('--no-dangling')];
  if (repoOnly) options.push(flag('--no-full'));
  const command = gitCommand('fsck', { options });
  const { output, exit } = await mergedOutput(repository, command, { maxBytes: MAX_REPORT_BYTES, signal });
  return exit.code === 0 ? undefined : output;
}
