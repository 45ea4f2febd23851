import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { isRefused } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { countCommits as count, countDiverging } from '#git/history/count';
import { requireRevision } from '#services/convert/request/revision';
import type { CountCommitsRequest } from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';
import { rfc3339 } from './git-dates.ts';

/** Counts commits. What git cannot count, such as an unknown revision, counts as 0. */
export const countCommits: Handlers['countCommits'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const start = startOf(request);

  const { signal } = context;
  const { before, after, maxCount, firstParent, path, globalOptions } = request;
  const query = {
    ...start,
    before: before && rfc3339(before),
    after: after && rfc3339(after),
    maxCount,
    firstParent,
    paths: path.length === 0 ? [] : [path],
    literalPathspecs: globalOptions?.literalPathspecs ?? false,
  };
  try {
    const commits = await count(repository, query, { signal });
    if (commits === undefined) throw new GitalyError('INTERNAL', 'parse count: invalid syntax');
    return { count: commits };
  } catch (error) {
    if (isRefused(error)) throw wrap(error, 'cmd');
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    context.log.add({ git_error: error.message, git_stderr: error.stderr });
    return { count: 0 };
  }
};

/**
 * Returns the start of the walk: the revisions, or the deprecated fields that they replace, of
 * which `all` takes precedence.
 */
function startOf({ revisions, revision, all }: CountCommitsRequest): { revisions: Buffer[]; all?: boolean } {
  if (revisions.length > 0) {
    return {
      revisions: revisions.map((each) =>
        requireRevision(each, { allowPseudo: true, prefix: 'invalid revision: ' }),
      ),
    };
  }
  const only = requireRevision(revision, { allowEmpty: true });
  if (only.length === 0 && !all) throw invalidArgument('empty Revision and false All');
  return all ? { revisions: [], all } : { revisions: [only] };
}

const DASH = 0x2d;

/**
 * Counts the commits that only one of two revisions reaches. The revisions are checked before the
 * repository.
 */
export const countDivergingCommits: Handlers['countDivergingCommits'] = async (request, context, deps) => {
  if (request.from.length === 0 || request.to.length === 0) {
    throw invalidArgument('from and to are both required');
  }
  const repository = deps.storages.open(request.repository);

  try {
    const counts = await countDiverging(repository, request, { signal: context.signal });
    if (counts === undefined) throw new Error('invalid output from git rev-list --left-right');
    return { leftCount: counts.left, rightCount: counts.right };
  } catch (error) {
    if (isRefused(error) && error.code === 'INVALID_ARGUMENT' && request.from[0] !== DASH) {
      // Gitaly passes such a `to` on, and git finds no such revision.
      throw new GitalyError('INTERNAL', 'gi rev-list error: exit status 128', { cause: error });
    }
    // "gi" is in Gitaly's text.
    throw wrap(error, error instanceof GitExitError ? 'gi rev-list error' : 'git rev-list cmd');
  }
};
