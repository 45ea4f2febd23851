import { flag, gitCommand, joined, value } from '../command/git-command.ts';
import { outputBytes } from '../command/output.ts';
import { GitExitError } from '../command/process/exit-error.ts';
import type { GitRepository } from '../repository.ts';

export interface BlameQuery {
  readonly revision: Uint8Array;
  /** Raw bytes, relative to the root. */
  readonly path: Uint8Array;
  /** Lines `<first>,<last>`, counted from 1. */
  readonly range?: string | undefined;
  /** A file with ids of commits to skip, one per line. */
  readonly ignoreRevsFile?: string | undefined;
}

/**
 * Yields git's porcelain output with the commit of each line of a file.
 *
 * @throws {GitExitError} when git fails; {@link blameProblem} recognizes some reasons.
 *   {GitalyError} without a code for a path with NUL.
 */
export function blame(
  repository: GitRepository,
  { revision, path, range, ignoreRevsFile }: BlameQuery,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const options = [flag('-p')];
  if (range !== undefined) options.push(value('-L', range));
  if (ignoreRevsFile !== undefined) options.push(joined('--ignore-revs-file', ignoreRevsFile));
  return outputBytes(repository, gitCommand('blame', { options, revisions: [revision], paths: [path] }), {
    signal,
  });
}

/** The reason why blame failed. */
export type BlameProblem =
  | { readonly kind: 'no-such-path' }
  /** The range starts after the last line. */
  | { readonly kind: 'out-of-range'; readonly lines: bigint }
  /** A line of the list of ignored commits is not a full id; `line` includes its delimiter. */
  | { readonly kind: 'bad-ignored-commit'; readonly line: string };

const NO_PATH = 'fatal: no such path ';
const BAD_COMMIT = 'fatal: invalid object name: ';

/** Parses git's (English) message; `undefined` for other failures. */
export function blameProblem(error: unknown): BlameProblem | undefined {
  if (!(error instanceof GitExitError)) return undefined;
  const { stderr } = error;
  if (stderr.startsWith(NO_PATH)) return { kind: 'no-such-path' };
  if (stderr.startsWith(BAD_COMMIT))
    return { kind: 'bad-ignored-commit', line: stderr.slice(BAD_COMMIT.length) };
  const lines = /^fatal: file .* has only (\d+) lines?/s.exec(stderr)?.[1];
  return lines === undefined ? undefined : { kind: 'out-of-range', lines: BigInt(lines) };
}
