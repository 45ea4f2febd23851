import type { CommandRepository } from '../command/command-repository.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { Commit } from './parse/parse-commit.ts';
import { parseTrailers, type Trailer } from './parse/parse-trailers.ts';

/**
 * Returns the trailers of a commit, by git's rules and the repository's `trailer.*` settings. A
 * message without a colon has none, so git is not started for it.
 */
export async function readTrailers(
  repository: CommandRepository,
  commit: Commit,
  signal: AbortSignal,
): Promise<Trailer[]> {
  if (!commit.body.includes(':')) return [];
  const format = '--format=%(trailers:unfold,separator=%x00)';
  const show = gitCommand('show', { options: [flag(format), flag('--no-patch')], revisions: [commit.oid] });
  const output = await repository.run(show, { signal });
  return parseTrailers(output.at(-1) === 0x0a ? output.subarray(0, -1) : output);
}
