import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { HEX_LENGTH } from './raw-line.ts';

export interface RangeDiffOptions {
  readonly color: 'never' | 'as configured';
  readonly signal?: AbortSignal | undefined;
}

/** Versions before 2.40 do not heed `--abbrev`, but this setting. */
const FULL_IDS = [{ key: 'core.abbrev', value: 'no' }] as const;

/**
 * What `git range-diff` prints, with full ids.
 *
 * @throws {GitalyError} at once, for words that git must not see; {GitExitError} on the way.
 */
export function rangeDiffOutput(
  git: Git,
  repository: GitRepository,
  ranges: readonly string[],
  { color, signal }: RangeDiffOptions,
): AsyncGenerator<Buffer> {
  const options = [
    ...(color === 'never' ? [flag('--no-color')] : []),
    flag(`--abbrev=${HEX_LENGTH[git.objectFormat(repository)]}`),
  ];
  return outputBytes(git, repository, gitCommand('range-diff', { options, revisions: ranges }), { signal, config: FULL_IDS });
}
