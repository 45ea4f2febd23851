import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { PatchFailedError } from '#domain/apply-patch/apply-patches';
import { applyToBranch } from '#domain/apply-patch/apply-to-branch';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  type UserApplyPatchRequest_Header as Header,
  UserApplyPatchErrorSchema,
  type UserApplyPatchRequest,
} from '#wire/gen/operations_pb';
import type { Handlers } from '../dependencies.ts';
import { customHookCase } from '../error-details.ts';
import { nextRequest, requireFilled, requireUser } from '../request-parts.ts';

/**
 * Applies mails and moves a branch to the result. A branch that does not exist starts at the
 * default branch.
 */
export const userApplyPatch: Handlers['userApplyPatch'] = async (requests, context, deps) => {
  const stream = requests[Symbol.asyncIterator]();
  const header = headerOf(await nextRequest(stream));
  const repository = deps.storages.open(header.repository);
  const user = requireUser(header.user, 'missing User');
  requireFilled(header.targetBranch, 'missing Branch');

  const patches = {
    branch: header.targetBranch,
    mails: patchesOf(stream),
    user,
    seconds: header.timestamp?.seconds,
    expectedOldOid: header.expectedOldOid,
    worktreeHooks: deps.transactionHooks(context),
  };
  const { newOid, isNewBranch } = await applyToBranch(
    repository,
    patches,
    updateContextOf(user, context, deps.hooks),
  ).catch(refuse);
  return { branchUpdate: { commitId: newOid, branchCreated: isNewBranch } };
};

function headerOf({ userApplyPatchRequestPayload: payload }: UserApplyPatchRequest): Header {
  if (payload.case === 'header') return payload.value;
  throw invalidArgument('empty UserApplyPatch_Header');
}

/** Yields the mails after the header; other messages are skipped. */
async function* patchesOf(stream: AsyncIterator<UserApplyPatchRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
    const { userApplyPatchRequestPayload: payload } = next.value;
    if (payload.case === 'patches' && payload.value.length > 0) yield payload.value;
  }
}

function refuse(error: unknown): never {
  if (error instanceof PatchFailedError)
    throw new GitalyError('FAILED_PRECONDITION', error.message, { cause: error });
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by !== 'custom-hook') throw wrap(cause, 'update reference');
  const details = [create(UserApplyPatchErrorSchema, { error: customHookCase(refusal.error) })];
  throw new GitalyError('PERMISSION_DENIED', 'denied by custom hooks', { cause, details });
}
