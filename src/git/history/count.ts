import { flag, gitCommand, joined } from '../command/git-command.ts';
import { FallBackToGit } from '../command/in-process.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { GitRepository } from '../repository.ts';
import { requireNotGrafted } from './graph/commit-nodes.ts';
import { countReached } from './graph/count-reached.ts';
import { nearMergeBaseAndRead } from './graph/merge-base.ts';
import { resolveRange } from './graph/plain-revision.ts';
import { walkRange } from './graph/walk-range.ts';
import { pathChanges } from './path-changes.ts';

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

export interface CountCommitsOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Limit of commits that are counted one by one; for more, git is faster. */
const MAX_COMMITS = 4_000;

/**
 * Counts commits; `undefined` if git prints no number. Near commits, and those in the commit-graph,
 * are counted without starting git.
 *
 * @throws {GitExitError} when git fails, for example on an unknown revision.
 */
export async function countCommits(
  repository: GitRepository,
  query: CountQuery,
  options: CountCommitsOptions = {},
): Promise<number | undefined> {
  return await repository.inProcess.attempt(
    'count_commits',
    () => countNear(repository, query, options),
    () => askForCount(repository, query, options),
  );
}

async function countNear(
  repository: GitRepository,
  { revisions, all = false, before, after, maxCount = 0, firstParent = false, ...query }: CountQuery,
  { signal }: CountCommitsOptions,
): Promise<number> {
  if (all || before !== undefined || after !== undefined) throw new FallBackToGit('a count has conditions');
  const nodes = requireNotGrafted(repository.commits);
  const starts = await resolveRange(repository, revisions.map(revisionText), { signal });
  const limit = maxCount > 0 ? maxCount : Number.POSITIVE_INFINITY;
  const changes = pathChanges(repository.objects, query, { signal });
  const isWhole =
    changes === undefined && !firstParent && starts.every(({ isExcluded }) => isExcluded !== true);
  const { graph } = nodes;
  if (isWhole && graph !== undefined && limit > MAX_COMMITS) {
    const oids = starts.map(({ oid }) => oid);
    return Math.min(limit, await countReached({ nodes, graph }, oids, { signal }));
  }
  const range = await walkRange(nodes, starts, {
    ...{ signal, firstParent, changes, count: limit, maxCommits: MAX_COMMITS },
  });
  return Math.min(limit, range.length);
}

function revisionText(revision: Arg): string {
  return typeof revision === 'string' ? revision : Buffer.from(revision).toString('latin1');
}

async function askForCount(
  repository: GitRepository,
  query: CountQuery,
  { signal }: CountCommitsOptions,
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

/** Two revisions whose commits are counted. */
interface Sides {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** Limit of both counts together; 0 means no limit. The newest commits are counted first. */
  readonly maxCount: number;
}

/** Numbers of commits that only one side reaches. */
interface Divergence {
  readonly left: number;
  readonly right: number;
}

/**
 * Counts the commits that only one of two revisions reaches; `undefined` for unexpected output.
 * Near commits are counted without starting git.
 *
 * @throws {GitExitError} when git fails, for example on an unknown revision; {GitalyError} for
 *   words that git must not receive.
 */
export async function countDiverging(
  repository: GitRepository,
  sides: Sides,
  options: CountCommitsOptions = {},
): Promise<Divergence | undefined> {
  return await repository.inProcess.attempt(
    'count_diverging',
    () => countNearSides(repository, sides, options),
    () => askForSides(repository, sides, options),
  );
}

async function countNearSides(
  repository: GitRepository,
  { from, to, maxCount }: Sides,
  { signal }: CountCommitsOptions,
): Promise<Divergence> {
  const nodes = requireNotGrafted(repository.commits);
  const [left, right, ...more] = await resolveRange(repository, [revisionText(from), revisionText(to)], {
    signal,
  });
  if (left === undefined || right === undefined || more.length > 0 || left.isExcluded || right.isExcluded)
    throw new FallBackToGit('a side is not a commit');
  const { base, read } = await nearMergeBaseAndRead(repository, left.oid, right.oid);
  const starts = [
    ...(base === undefined ? [] : [{ oid: base, isExcluded: true }]),
    { ...left, isLeft: true },
    right,
  ];
  const range = await walkRange(nodes, starts, { signal, read, maxCommits: MAX_COMMITS });
  const counted = maxCount > 0 ? range.slice(0, maxCount) : range;
  const ofLeft = counted.filter(({ isLeft }) => isLeft).length;
  return { left: ofLeft, right: counted.length - ofLeft };
}

async function askForSides(
  repository: GitRepository,
  { from, to, maxCount }: Sides,
  { signal }: CountCommitsOptions,
): Promise<Divergence | undefined> {
  const options = [flag('--count'), flag('--left-right')];
  if (maxCount !== 0) options.push(joined('--max-count', maxCount));
  const range = Buffer.concat([from, Buffer.from('...'), to]);
  const command = gitCommand('rev-list', { options, revisions: [range] });
  const output = (await repository.run(command, { signal })).toString('latin1').trim();
  const [, left, right] = /^(\d+)\t(\d+)$/.exec(output) ?? [];
  return left === undefined ? undefined : { left: Number(left), right: Number(right) };
}
