import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode, wrap } from '#base/gitaly-error';
import { ChangesAlreadyAppliedError, revert } from '#domain/cherry-pick/apply-change';
import { writeCommit } from '#domain/commit/write-commit';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import type { MergeWorkspace } from '#domain/merge/merge-workspace';
import { refusalOf } from '#domain/ref-update/refusals';
import type { HandlerContext } from '#rpc/server/handler';
import { ChangesAlreadyAppliedErrorSchema, NotAncestorErrorSchema } from '#wire/gen/errors_pb';
import {
  type UserRevertError,
  UserRevertErrorSchema,
  type UserRevertRequest,
  type UserRevertResponseSchema,
} from '#wire/gen/operations_pb';
import type { OperationRooms } from './index.ts';
import { mergeConflictDetail } from './merge-parts.ts';
import { type PickParts, pickOntoBranch } from './pick-onto-branch.ts';
import { customHookCase } from './refusal-details.ts';

/** Applies the inverse of one commit to a branch. */
export async function userRevert(
  request: UserRevertRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserRevertResponseSchema>> {
  const branchUpdate = await pickOntoBranch(request, context, rooms, {
    notFound: () => 'revert commit lookup: commit not found',
    makeCommit: (workspace, parts) => makeCommit(request, workspace, parts),
    diverged: (parentRevision, childRevision) => {
      const value = create(NotAncestorErrorSchema, { parentRevision, childRevision });
      return failed('FAILED_PRECONDITION', 'revert: branch diverged', undefined, { case: 'notAncestor', value });
    },
    refuse,
  });
  return { branchUpdate };
}

async function makeCommit(
  { message }: UserRevertRequest,
  workspace: MergeWorkspace,
  { start, picked, person, committer, sign }: PickParts,
): Promise<string> {
  const treeOid = await revert(workspace, start, picked).catch(explain);
  try {
    const people = { author: person, committer };
    return await writeCommit(workspace.writer, { treeOid, parentOids: [start.oid], ...people, message, sign });
  } catch (error) {
    throw wrap(error, 'write commit');
  }
}

function explain(error: unknown): never {
  if (error instanceof MergeConflictError) {
    throw failed('FAILED_PRECONDITION', error.message, error, { case: 'mergeConflict', value: mergeConflictDetail(error) });
  }
  if (error instanceof ChangesAlreadyAppliedError) {
    const value = create(ChangesAlreadyAppliedErrorSchema);
    throw failed('FAILED_PRECONDITION', `revert: ${error.message}`, error, { case: 'changesAlreadyApplied', value });
  }
  throw error;
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by === 'custom-hook') {
    throw failed('PERMISSION_DENIED', 'revert: custom hook error', error, customHookCase(refusal.error));
  }
  throw wrap(error, 'update reference with hooks', isRateLimited(error) ? 'RESOURCE_EXHAUSTED' : 'INTERNAL');
}

function failed(code: StatusCode, message: string, cause: unknown, error: UserRevertError['error']): GitalyError {
  return new GitalyError(code, message, { cause, details: [create(UserRevertErrorSchema, { error })] });
}
