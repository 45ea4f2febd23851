import type { CommandRepository } from '../command/command-repository.ts';
import { flag, type GitOption, gitCommand } from '../command/git-command.ts';
import { outputLines } from '../command/output.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { NamedObject } from '../objects/read-many.ts';
import { WRITE_FULL_BUFFERS } from './rev-list.ts';

/** Range and options of `git log`; the output format is one of the options. */
export interface LogQuery {
  readonly options: readonly GitOption[];
  readonly revisions: readonly Arg[];
  readonly paths?: readonly Uint8Array[] | undefined;
  readonly literalPathspecs?: boolean | undefined;
}

/**
 * Runs `git log` and yields its output lines in batches. A slow reader slows git down; a reader
 * that stops early ends it.
 *
 * @throws {GitExitError} when git fails, after the earlier output was yielded.
 */
export function logLines(
  repository: CommandRepository,
  query: LogQuery,
  options: { readonly signal?: AbortSignal | undefined; readonly maxLineBytes?: number } = {},
): AsyncGenerator<Buffer[], void, undefined> {
  const { options: flags, revisions, paths = [], literalPathspecs = false } = query;
  const command = gitCommand('log', { options: flags, revisions, paths, literalPathspecs });
  return outputLines(repository, command, { ...options, env: WRITE_FULL_BUFFERS });
}

/** Yields the ids of the commits in `git log`, like {@link logLines}. */
export async function* loggedCommits(
  repository: CommandRepository,
  query: LogQuery,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<NamedObject[], void, undefined> {
  const ids = { ...query, options: [flag('--format=%H'), ...query.options] };
  for await (const lines of logLines(repository, ids, options)) {
    yield lines.map((line) => ({ oid: line.toString('latin1') }));
  }
}
