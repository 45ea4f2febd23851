import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, withCode, wrap } from '#base/gitaly-error';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { emptyQuarantine } from '#domain/ref-update/empty-quarantine';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { ZERO_OID } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import {
  UserCreateBranchErrorSchema,
  type UserCreateBranchRequest,
  type UserCreateBranchResponseSchema,
} from '#wire/gen/operations_pb';
import { toCommitMessage } from '../convert/commit.ts';
import { usesMailmap } from '../convert/feature-flags.ts';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { customHookCase } from './refusal-details.ts';
import { branchReference, requireFilled, requireUser } from './request-parts.ts';

/** Creates a branch on behalf of a user. */
export async function userCreateBranch(
  request: UserCreateBranchRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserCreateBranchResponseSchema>> {
  const { branchName, startPoint } = request;
  const repository = rooms.storages.open(request.repository);
  requireFilled(branchName, 'empty branch name');
  const user = requireUser(request.user);
  requireFilled(startPoint, 'empty start point');

  const { signal } = context;
  const commit = startPoint.includes(0)
    ? undefined
    : await repository.objects.readCommit(startPoint, { signal, mailmap: usesMailmap(context) });
  if (commit === undefined) {
    throw new GitalyError('FAILED_PRECONDITION', `revspec '${Buffer.from(startPoint)}' not found`);
  }
  await using quarantine = await emptyQuarantine(rooms.hooks, repository);
  await updateWithHooks(
    rooms.hooks,
    {
      repository,
      quarantine,
      reference: branchReference(branchName),
      oldOid: ZERO_OID[repository.git.objectFormat(repository)],
      newOid: commit.oid,
    },
    updateContextOf(user, context),
  ).catch(refuse);
  return { branch: { name: branchName, targetCommit: toCommitMessage(commit) } };
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by === 'custom-hook') {
    const details = [create(UserCreateBranchErrorSchema, { error: customHookCase(refusal.error) })];
    throw wrap(error, 'creation denied by custom hooks', 'PERMISSION_DENIED', { details });
  }
  if (refusal?.by === 'git') throw withCode(error, 'FAILED_PRECONDITION');
  throw isRateLimited(error) ? withCode(error, 'RESOURCE_EXHAUSTED') : error;
}
