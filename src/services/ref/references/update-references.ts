import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError, invalidArgument, messageOf, wrap } from '#base/gitaly-error';
import { inRefTransaction } from '#domain/ref-update/update-reference';
import type { RefUpdates } from '#domain/ref-update/voted-updates';
import { objectIdProblem } from '#git/names/object-id';
import { validateReference } from '#git/names/validate-reference';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import {
  type UpdateReferencesRequest_Update as Update,
  UpdateReferencesErrorSchema,
  type UpdateReferencesRequest,
  type UpdateReferencesResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

/**
 * Creates, changes and deletes references, all or none, without access checks and users' hooks.
 * Updates go to git as they come.
 */
export async function updateReferences(
  requests: AsyncIterable<UpdateReferencesRequest>,
  context: HandlerContext,
  deps: RefDependencies,
): ResponseOf<typeof UpdateReferencesResponseSchema> {
  const { first, rest } = await openRequests(requests, 'receiving initial request: EOF');
  const repository = deps.storages.open(first.repository, { otherwise: 'INTERNAL' });
  const objectFormat = repository.objectFormat;
  requireUpdates(first);

  const queue = async (transaction: RefUpdates, { updates }: UpdateReferencesRequest): Promise<void> => {
    for (const update of updates)
      await transaction.update(update.reference, checkUpdate(update, objectFormat));
  };
  const options = {
    hooks: deps.transactionHooks(context),
    signal: context.signal,
    noDereference: false,
  };
  await inRefTransaction(repository, options, async (transaction) => {
    await queue(transaction, first);
    for await (const request of rest) {
      if (request.repository !== undefined) throw invalidArgument('repository set in subsequent request');
      requireUpdates(request);
      await queue(transaction, request);
    }
  }).catch(refuse);
  return {};
}

function requireUpdates({ updates }: UpdateReferencesRequest): void {
  if (updates.length === 0) throw invalidArgument('no updates specified');
}

function checkUpdate({ reference, oldObjectId, newObjectId }: Update, objectFormat: 'sha1' | 'sha256') {
  const problem = validateReference(reference);
  if (problem !== undefined) {
    const details = detail({ case: 'invalidFormat', value: { refs: [reference] } });
    throw invalidArgument(`validating reference: ${problem}`, details);
  }
  const hasOld = oldObjectId.length > 0;
  const wrongOld = hasOld ? objectIdProblem(oldObjectId, objectFormat) : undefined;
  if (wrongOld !== undefined) throw invalidArgument(`validating old object ID: ${wrongOld}`);
  const wrongNew = objectIdProblem(newObjectId, objectFormat);
  if (wrongNew !== undefined) throw invalidArgument(`validating new object ID: ${wrongNew}`);
  return { newOid: text(newObjectId), oldOid: hasOld ? text(oldObjectId) : undefined };
}

/** Decodes an object id, which arrives as the bytes of its digits. */
function text(oid: Uint8Array): string {
  return Buffer.from(oid).toString('latin1');
}

function refuse(error: unknown): never {
  if (error instanceof GitalyError) throw error;
  if (!(error instanceof RefUpdateError)) throw wrap(error, 'committing update');
  const { reference = Buffer.alloc(0), expectedOid = '', actualOid = '' } = error.facts;
  switch (error.problem) {
    case 'locked':
      throw refused('ABORTED', error, detail({ case: 'referencesLocked', value: { refs: [reference] } }));
    case 'unexpected-value':
      throw refused(
        'ABORTED',
        error,
        detail({
          case: 'referenceStateMismatch',
          value: {
            referenceName: reference,
            expectedObjectId: Buffer.from(expectedOid),
            actualObjectId: Buffer.from(actualOid),
          },
        }),
      );
    case 'object-missing':
      throw refused('NOT_FOUND', error);
    default:
      throw wrap(error, 'committing update');
  }
}

function refused(
  code: 'ABORTED' | 'NOT_FOUND',
  error: RefUpdateError,
  details: { details?: ErrorDetail[] } = {},
): GitalyError {
  return new GitalyError(code, messageOf(error), { cause: error, ...details });
}

function detail(error: MessageInitShape<typeof UpdateReferencesErrorSchema>['error']): {
  details: ErrorDetail[];
} {
  return { details: [create(UpdateReferencesErrorSchema, error === undefined ? {} : { error })] };
}
