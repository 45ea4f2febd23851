import { flag, type GitOption, gitCommand } from '../command/git-command.ts';
import { outputLines } from '../command/output-lines.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { Git } from '../git.ts';
import type { NamedObject } from '../objects/read-many.ts';
import type { GitRepository } from '../repository.ts';
import { WRITE_FULL_BUFFERS } from './rev-list.ts';

/** What `git log` is to walk; the format of what it prints is one of the options. */
export interface LogQuery {
  readonly options: readonly GitOption[];
  readonly revisions: readonly Arg[];
  readonly paths?: readonly Uint8Array[] | undefined;
  readonly literalPathspecs?: boolean | undefined;
}

/**
 * Runs `git log` and gives what it prints, line by line, in batches. A reader that is slow slows git down, one that leaves ends it.
 *
 * @throws {GitExitError} when git fails; what it printed before has been given.
 */
export function logLines(
  git: Git,
  repository: GitRepository,
  query: LogQuery,
  options: { readonly signal?: AbortSignal | undefined; readonly maxLineBytes?: number } = {},
): AsyncGenerator<Buffer[], void, undefined> {
  const { options: flags, revisions, paths = [], literalPathspecs = false } = query;
  const command = gitCommand('log', { options: flags, revisions, paths, literalPathspecs });
  return outputLines(git, repository, command, { ...options, env: WRITE_FULL_BUFFERS });
}

/** The ids of the commits that `git log` gives. As {@link logLines}. */
export async function* loggedCommits(
  git: Git,
  repository: GitRepository,
  query: LogQuery,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<NamedObject[], void, undefined> {
  const ids = { ...query, options: [flag('--format=%H'), ...query.options] };
  for await (const lines of logLines(git, repository, ids, options)) {
    yield lines.map((line) => ({ oid: line.toString('latin1') }));
  }
}
