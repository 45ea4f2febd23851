import { flag, gitCommand, joined } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';

/** Which commits are counted. */
export interface CountQuery {
  readonly revisions: readonly Arg[];
  readonly all?: boolean;
  /** What git takes for a date. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** Stops there; 0 counts all, and so does a negative number. */
  readonly maxCount?: number;
  readonly firstParent?: boolean;
  readonly paths?: readonly Uint8Array[];
  readonly literalPathspecs?: boolean;
}

export interface CountOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Counts commits; `undefined` when git prints no number. @throws {GitExitError} when git fails, for example on an unknown revision. */
export async function countCommits(
  git: Git,
  repository: GitRepository,
  query: CountQuery,
  { signal }: CountOptions = {},
): Promise<number | undefined> {
  const options = [flag('--count')];
  if (query.all === true) options.push(flag('--all'));
  if (query.before !== undefined) options.push(joined('--before', query.before));
  if (query.after !== undefined) options.push(joined('--after', query.after));
  if (query.maxCount !== undefined && query.maxCount !== 0) options.push(joined('--max-count', query.maxCount));
  if (query.firstParent === true) options.push(flag('--first-parent'));
  const { revisions, paths = [], literalPathspecs = false } = query;
  const command = gitCommand('rev-list', { options, revisions, endOfRevisions: true, paths, literalPathspecs });
  const output = (await git.run(command, { repository, signal })).toString('latin1').trim();
  return /^\d+$/.test(output) ? Number(output) : undefined;
}

/**
 * Counts what only one of two revisions reaches; `undefined` when git prints something else.
 *
 * @param maxCount where the walk stops, so that both counts may be too low; 0 is no limit.
 * @throws {GitExitError} when git fails, for example on an unknown revision; {GitalyError} for words that git must not see.
 */
export async function countDiverging(
  git: Git,
  repository: GitRepository,
  { from, to, maxCount }: { readonly from: Uint8Array; readonly to: Uint8Array; readonly maxCount: number },
  { signal }: CountOptions = {},
): Promise<{ left: number; right: number } | undefined> {
  const options = [flag('--count'), flag('--left-right')];
  if (maxCount !== 0) options.push(joined('--max-count', maxCount));
  const range = Buffer.concat([from, Buffer.from('...'), to]);
  const command = gitCommand('rev-list', { options, revisions: [range] });
  const output = (await git.run(command, { repository, signal })).toString('latin1').trim();
  const [, left, right] = /^(\d+)\t(\d+)$/.exec(output) ?? [];
  return left === undefined ? undefined : { left: Number(left), right: Number(right) };
}
