import { invalidArgument, withCode } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { ResolutionError } from '#domain/conflicts/resolve-file';
import { resolveOnBranch } from '#domain/conflicts/resolve-on-branch';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { openRequests } from '#services/convert/request/first-request';
import { remoteOpener } from '#services/convert/request/open-remote';
import { updateContextOf } from '#services/convert/request/update-context';
import type { Repository } from '#storage/repository';
import type { ResolveConflictsRequest, ResolveConflictsRequestHeader } from '#wire/gen/conflicts_pb';
import type { Repository as RepositoryMessage, User } from '#wire/gen/shared_pb';
import type { ConflictsDependencies, Handlers } from './dependencies.ts';

const MAX_JSON_BYTES = 64 * 1024 * 1024;

/**
 * Merges two commits with the decisions of a user about the conflicts, and moves a branch to the
 * merge.
 */
export const resolveConflicts: Handlers['resolveConflicts'] = async (requests, context, deps) => {
  const { first, rest } = await openRequests(requests);
  const { case: kind, value: header } = first.resolveConflictsRequestPayload;
  if (kind !== 'header') throw invalidArgument('empty ResolveConflictsRequestHeader');
  const { repository, user, targetRepository } = requireHeader(header, deps);

  const { sourceBranch, targetBranch } = header;
  const resolution = {
    ours: header.ourCommitOid,
    theirs: header.theirCommitOid,
    sourceBranch,
    targetBranch,
    openRemote: remoteOpener(targetRepository, context, deps.remotes),
    resolutions: await readJson(rest),
    user,
    seconds: header.timestamp?.seconds,
    message: header.commitMessage,
  };
  try {
    await resolveOnBranch(repository, resolution, updateContextOf(user, context, deps.hooks));
    return {};
  } catch (error) {
    if (error instanceof ResolutionError) return { resolutionError: error.message };
    const cause = error instanceof UpdateFailedError ? error.cause : error;
    throw isRateLimited(cause) ? withCode(cause, 'RESOURCE_EXHAUSTED') : cause;
  }
};

function requireHeader(
  header: ResolveConflictsRequestHeader,
  { storages }: ConflictsDependencies,
): { repository: Repository; targetRepository: RepositoryMessage; user: User } {
  const requireField = (field: { readonly length: number }, name: string): void => {
    if (field.length === 0) throw invalidArgument(`empty ${name}`);
  };
  requireField(header.ourCommitOid, 'OurCommitOid');
  const repository = storages.open(header.repository);
  const { targetRepository, user } = header;
  if (targetRepository === undefined) throw invalidArgument('empty TargetRepository');
  requireField(header.theirCommitOid, 'TheirCommitOid');
  requireField(header.sourceBranch, 'SourceBranch');
  requireField(header.targetBranch, 'TargetBranch');
  requireField(header.commitMessage, 'CommitMessage');
  if (user === undefined) throw invalidArgument('empty User');
  return { repository, targetRepository, user };
}

async function readJson(requests: AsyncIterable<ResolveConflictsRequest>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  using held = new HeldBytes(MAX_JSON_BYTES, 'resolutions');
  for await (const { resolveConflictsRequestPayload: payload } of requests) {
    if (payload.case !== 'filesJson') continue;
    held.add(payload.value);
    pieces.push(payload.value);
  }
  return Buffer.concat(pieces);
}
