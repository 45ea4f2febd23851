import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output.ts';
import { OID_DIGITS } from '../names/object-id.ts';
import type { GitRepository } from '../repository.ts';

export interface RangeDiffOptions {
  readonly color: 'never' | 'as configured';
  readonly signal?: AbortSignal | undefined;
}

/** Versions before 2.40 ignore `--abbrev`, but respect this setting. */
const FULL_IDS = [{ key: 'core.abbrev', value: 'no' }] as const;

/**
 * Yields the output of `git range-diff`, with full ids.
 *
 * @throws {GitalyError} at once, for words that git must not receive; {GitExitError} during the
 *   iteration.
 */
export function rangeDiffOutput(
  repository: GitRepository,
  ranges: readonly string[],
  { color, signal }: RangeDiffOptions,
): AsyncGenerator<Buffer> {
  const options = [
    ...(color === 'never' ? [flag('--no-color')] : []),
    flag(`--abbrev=${OID_DIGITS[repository.objectFormat]}`),
  ];
  return outputBytes(repository, gitCommand('range-diff', { options, revisions: ranges }), {
    signal,
    config: FULL_IDS,
  });
}
