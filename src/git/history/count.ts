import { flag, gitCommand, joined } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { GitRepository } from '../repository.ts';

/** Selection of the counted commits. */
export interface CountQuery {
  readonly revisions: readonly Arg[];
  readonly all?: boolean;
  /** A date in git's format. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** Limit of the count; 0 or a negative number means no limit. */
  readonly maxCount?: number;
  readonly firstParent?: boolean;
  readonly paths?: readonly Uint8Array[];
  readonly literalPathspecs?: boolean;
}

export interface CountOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Counts commits; `undefined` if git prints no number. @throws {GitExitError} when git fails, for
 * example on an unknown revision.
 */
export async function countCommits(
  repository: GitRepository,
  query: CountQuery,
  { signal }: CountOptions = {},
): Promise<number | undefined> {
  const options = [flag('--count')];
  if (query.all === true) options.push(flag('--all'));
  if (query.before !== undefined) options.push(joined('--before', query.before));
  if (query.after !== undefined) options.push(joined('--after', query.after));
  if (query.maxCount !== undefined && query.maxCount !== 0)
    options.push(joined('--max-count', query.maxCount));
  if (query.firstParent === true) options.push(flag('--first-parent'));
  const { revisions, paths = [], literalPathspecs = false } = query;
  const command = gitCommand('rev-list', {
    options,
    revisions,
    endOfRevisions: true,
    paths,
    literalPathspecs,
  });
  const output = (await repository.run(command, { signal })).toString('latin1').trim();
  return /^\d+$/.test(output) ? Number(output) : undefined;
}

/**
 * Counts the commits that only one of two revisions reaches; `undefined` for unexpected output.
 *
 * @param maxCount limit of the walk, so that both counts may be too low; 0 means no limit.
 * @throws {GitExitError} when git fails, for example on an unknown revision; {GitalyError} for
 *   words that git must not receive.
 */
export async function countDiverging(
  repository: GitRepository,
  { from, to, maxCount }: { readonly from: Uint8Array; readonly to: Uint8Array; readonly maxCount: number },
  { signal }: CountOptions = {},
): Promise<{ left: number; right: number } | undefined> {
  const options = [flag('--count'), flag('--left-right')];
  if (maxCount !== 0) options.push(joined('--max-count', maxCount));
  const range = Buffer.concat([from, Buffer.from('...'), to]);
  const command = gitCommand('rev-list', { options, revisions: [range] });
  const output = (await repository.run(command, { signal })).toString('latin1').trim();
  const [, left, right] = /^(\d+)\t(\d+)$/.exec(output) ?? [];
  return left === undefined ? undefined : { left: Number(left), right: Number(right) };
}
