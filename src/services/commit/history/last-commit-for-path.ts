import { invalidArgument, wrap } from '#base/gitaly-error';
import { isLocalPath } from '#base/go/is-local-path';
import { GitExitError } from '#git/command/process/exit-error';
import { lastCommit } from '#git/history/last-commit';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision } from '#services/convert/request/revision';
import { toCommitMessage } from '#services/convert/response/commit';
import type { Handlers } from '../dependencies.ts';

/**
 * A name that git does not find, if that is its only error. Other failures, such as an id without
 * an object or one of a file, are failures of the call. @see Gitaly: last_commit.go
 */
const UNKNOWN_REVISION = /^fatal: bad revision '.*'\n?$/;
const SLASH = 0x2f;

/**
 * Finds the newest commit that changed or deleted a path. Without such a commit, or for an unknown
 * revision, the response is empty.
 */
export const lastCommitForPath: Handlers['lastCommitForPath'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision);
  const path = pathOf(request.path);

  const { signal } = context;
  const literalPathspecs = request.literalPathspec || request.globalOptions?.literalPathspecs === true;
  try {
    const oid = await lastCommit(repository, { revision, path, literalPathspecs }, { signal });
    if (oid === undefined) return {};
    const commit = await repository.objects.readCommit(oid, { signal, mailmap: usesMailmap(context) });
    return commit === undefined ? {} : { commit: toCommitMessage(commit) };
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    if (UNKNOWN_REVISION.test(error.stderr)) return {};
    throw wrap(error, 'logging last commit for path');
  }
};

function pathOf(path: Uint8Array): Uint8Array {
  if (path.length === 0 || (path.length === 1 && path[0] === SLASH)) return Buffer.from('.');
  if (path[0] === SLASH) throw invalidArgument('path is an absolute path');
  if (!isLocalPath(path)) throw invalidArgument('path escapes repository');
  return path;
}
