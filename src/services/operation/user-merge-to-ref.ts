import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { mergeIntoCommit } from '#domain/merge/merge-into-commit';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { UserMergeToRefRequest, UserMergeToRefResponseSchema } from '#wire/gen/operations_pb';
import type { OperationRooms } from './index.ts';
import { resolveRevision, signatureOfUser } from './merge-parts.ts';
import { isMergeRequestReference, oldTarget, writeMergeRequestReference } from './merge-request-reference.ts';
import { requireFilled, requireUser } from './request-parts.ts';
import { signedBy } from './signed-by.ts';

/** Computes the merge that a merge request would make and stores it. Neither GitLab nor hooks are asked. */
export async function userMergeToRef(
  request: UserMergeToRefRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserMergeToRefResponseSchema>> {
  const { branch, firstParentRef, sourceSha, message } = request;
  const repository = rooms.storages.open(request.repository);
  // An empty first parent cannot be told from one that is not there; Gitaly cannot either.
  const base = firstParentRef.length > 0 ? firstParentRef : branch;
  requireFilled(base, 'empty first parent ref and branch name');
  const user = requireUser(request.user);
  requireFilled(sourceSha, 'empty source SHA');
  requireFilled(request.targetRef, 'empty target ref');
  if (!isMergeRequestReference(request.targetRef)) throw new GitalyError('INVALID_ARGUMENT', 'invalid target ref');

  const { signal } = context;
  const ours = await resolveRevision(repository, base, signal);
  const theirs = await resolveRevision(repository, Buffer.from(sourceSha), signal);
  if (ours === undefined || theirs === undefined) throw new GitalyError('INVALID_ARGUMENT', 'Invalid merge source');
  const person = signatureOfUser(user, request.timestamp);
  const name = Buffer.from(request.targetRef);
  const oldOid = await oldTarget(repository, name, request.expectedOldOid, signal);

  await using quarantine = await Quarantine.create(repository);
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const people = { author: person, ...signedBy(person, request, context, rooms) };
  const merge = { ours, theirs, message, ...people, squash: false };
  const newOid = await mergeIntoCommit(workspace, merge).catch((error: unknown) => {
    const text = `Failed to create merge commit for source_sha ${theirs} and target_sha ${ours} at ${name}`;
    throw new GitalyError('FAILED_PRECONDITION', text, { cause: error });
  });
  await workspace.finish();
  await quarantine.migrate();
  await writeMergeRequestReference(rooms, context, { repository, name, oldOid, newOid }, 'Could not');
  return { commitId: newOid };
}
