import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { RebaseConflictError, rebase } from '#domain/rebase/rebase';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { UserRebaseToRefRequest, UserRebaseToRefResponseSchema } from '#wire/gen/operations_pb';
import type { OperationRooms } from './index.ts';
import { resolveRevision, signatureOfUser } from './merge-parts.ts';
import { isMergeRequestReference, oldTarget, writeMergeRequestReference } from './merge-request-reference.ts';
import { requireFilled, requireUser } from './request-parts.ts';

/** Rebases commits and stores the result. Neither GitLab nor hooks are asked. */
export async function userRebaseToRef(
  request: UserRebaseToRefRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserRebaseToRefResponseSchema>> {
  const { firstParentRef, sourceSha } = request;
  const repository = rooms.storages.open(request.repository);
  requireFilled(firstParentRef, 'empty FirstParentRef');
  const user = requireUser(request.user, 'empty User');
  requireFilled(sourceSha, 'empty SourceSha');
  requireFilled(request.targetRef, 'empty TargetRef');
  if (!isMergeRequestReference(request.targetRef)) throw new GitalyError('INVALID_ARGUMENT', 'invalid TargetRef');

  const { signal } = context;
  const upstream = await resolveRevision(repository, firstParentRef, signal);
  if (upstream === undefined) throw new GitalyError('INVALID_ARGUMENT', 'invalid FirstParentRef');
  const branch = await resolveRevision(repository, Buffer.from(sourceSha), signal);
  if (branch === undefined) throw new GitalyError('INVALID_ARGUMENT', 'invalid SourceSha');
  const name = Buffer.from(request.targetRef);
  const oldOid = await oldTarget(repository, name, request.expectedOldOid, signal);
  const committer = signatureOfUser(user, request.timestamp);

  await using quarantine = await Quarantine.create(repository);
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const newOid = await rebase(workspace, { upstream, branch, committer }).catch((error: unknown) => {
    if (!(error instanceof RebaseConflictError)) throw wrap(error, 'rebasing commits');
    const text = `failed to rebase ${branch} on ${upstream} while preparing ${name} due to conflict`;
    throw new GitalyError('FAILED_PRECONDITION', text, { cause: error });
  });
  await workspace.finish();
  await quarantine.migrate();
  await writeMergeRequestReference(rooms, context, { repository, name, oldOid, newOid }, 'could not');
  return { commitId: newOid };
}
