import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { applyPatches, PatchFailedError } from '#domain/apply-patch/apply-patches';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { objectIdProblem, ZERO_OID } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import {
  type UserApplyPatchRequest_Header as Header,
  UserApplyPatchErrorSchema,
  type UserApplyPatchRequest,
  type UserApplyPatchResponseSchema,
} from '#wire/gen/operations_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { nextRequest, signatureOfUser } from './merge-parts.ts';
import { customHookCase } from './refusal-details.ts';
import { branchReference, requireFilled, requireUser } from './request-parts.ts';

/** Applies mails and moves a branch to the result. A branch that does not exist begins at the default branch. */
export async function userApplyPatch(
  requests: AsyncIterable<UserApplyPatchRequest>,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserApplyPatchResponseSchema>> {
  const stream = requests[Symbol.asyncIterator]();
  const header = headerOf(await nextRequest(stream));
  const repository = rooms.storages.open(header.repository);
  const user = requireUser(header.user, 'missing User');
  requireFilled(header.targetBranch, 'missing Branch');

  const { signal } = context;
  const reference = branchReference(header.targetBranch);
  const tip = await commitOf(repository, reference, signal);
  const parentOid = tip ?? (await defaultCommit(repository, signal));
  const newOid = await applyPatches(repository, {
    parentOid,
    mails: patchesOf(stream),
    committer: signatureOfUser(user, header.timestamp),
    hooks: rooms.transactionHooks(context, repository),
    signal,
  }).catch((error: unknown) => {
    throw error instanceof PatchFailedError ? new GitalyError('FAILED_PRECONDITION', error.message, { cause: error }) : error;
  });
  const expected = await expectedOldOid(repository, header.expectedOldOid, signal);
  const oldOid = expected ?? tip ?? ZERO_OID[repository.git.objectFormat(repository)];
  await updateWithHooks(rooms.hooks, { repository, reference, oldOid, newOid }, updateContextOf(user, context)).catch(refuse);
  return { branchUpdate: { commitId: newOid, branchCreated: tip === undefined } };
}

function headerOf({ userApplyPatchRequestPayload: payload }: UserApplyPatchRequest): Header {
  if (payload.case === 'header') return payload.value;
  throw new GitalyError('INVALID_ARGUMENT', 'empty UserApplyPatch_Header');
}

/** The mails behind the header; other messages carry none. */
async function* patchesOf(stream: AsyncIterator<UserApplyPatchRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
    const { userApplyPatchRequestPayload: payload } = next.value;
    if (payload.case === 'patches' && payload.value.length > 0) yield payload.value;
  }
}

async function commitOf(repository: Repository, reference: Buffer, signal: AbortSignal): Promise<string | undefined> {
  if (reference.includes(0)) return undefined;
  return (await repository.objects.info(Buffer.concat([reference, Buffer.from('^{commit}')]), { signal }))?.oid;
}

async function defaultCommit(repository: Repository, signal: AbortSignal): Promise<string> {
  const branch = await repository.refs.defaultBranch({ signal });
  const oid = branch && (await commitOf(repository, branch, signal));
  if (oid === undefined) throw new GitalyError('INTERNAL', 'no default branch');
  return oid;
}

/** As `expectedOid`, with words of its own. @throws {GitalyError} INTERNAL. */
async function expectedOldOid(repository: Repository, oid: string, signal: AbortSignal): Promise<string | undefined> {
  if (oid === '') return undefined;
  const objectFormat = repository.git.objectFormat(repository);
  const problem = objectIdProblem(oid, objectFormat);
  if (problem !== undefined) throw new GitalyError('INTERNAL', `expected old object id not expected SHA format: ${problem}`);
  if (oid === ZERO_OID[objectFormat] || (await repository.objects.info(oid, { signal })) !== undefined) return oid;
  throw new GitalyError('INTERNAL', 'expected old object cannot be resolved: reference not found');
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by !== 'custom-hook') throw wrap(error, 'update reference');
  const details = [create(UserApplyPatchErrorSchema, { error: customHookCase(refusal.error) })];
  throw new GitalyError('PERMISSION_DENIED', 'denied by custom hooks', { cause: error, details });
}
