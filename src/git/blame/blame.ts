import { GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand, joined, value } from '../command/git-command.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';

export interface BlameQuery {
  readonly revision: Uint8Array;
  /** Raw bytes, from the root. */
  readonly path: Uint8Array;
  /** `<first>,<last>` lines, counted from 1. */
  readonly range?: string | undefined;
  /** A file with ids of commits to look through, one a line. */
  readonly ignoreRevsFile?: string | undefined;
}

/**
 * Tells for each line of a file which commit it is from, in git's porcelain format, as git prints it.
 *
 * @throws {GitExitError} when git fails; {@link blameProblem} knows some reasons. {GitalyError} without a code for a path with a NUL in it.
 */
export function blame(
  git: Git,
  repository: GitRepository,
  { revision, path, range, ignoreRevsFile }: BlameQuery,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const options = [flag('-p')];
  if (range !== undefined) options.push(value('-L', range));
  if (ignoreRevsFile !== undefined) options.push(joined('--ignore-revs-file', ignoreRevsFile));
  return outputBytes(git, repository, gitCommand('blame', { options, revisions: [revision], paths: [path] }), { signal });
}

/** Why git could not blame. */
export type BlameProblem =
  | { readonly kind: 'no-such-path' }
  /** The range begins behind the last line. */
  | { readonly kind: 'out-of-range'; readonly lines: bigint }
  /** A line of the list of ignored commits is no full id; `line` is that line with its end. */
  | { readonly kind: 'bad-ignored-commit'; readonly line: string };

const NO_PATH = 'fatal: no such path ';
const BAD_COMMIT = 'fatal: invalid object name: ';

/** Reads git's words (in English); `undefined` for other failures. */
export function blameProblem(error: unknown): BlameProblem | undefined {
  if (!(error instanceof GitExitError)) return undefined;
  const { stderr } = error;
  if (stderr.startsWith(NO_PATH)) return { kind: 'no-such-path' };
  if (stderr.startsWith(BAD_COMMIT)) return { kind: 'bad-ignored-commit', line: stderr.slice(BAD_COMMIT.length) };
  const lines = /^fatal: file .* has only (\d+) lines?/s.exec(stderr)?.[1];
  return lines === undefined ? undefined : { kind: 'out-of-range', lines: BigInt(lines) };
}
