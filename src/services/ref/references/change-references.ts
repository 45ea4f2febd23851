import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { eachInTurn } from '#base/async/loop-turns';
import { type ErrorDetail, GitalyError, invalidArgument, messageOf, wrap } from '#base/gitaly-error';
import { deleteReferences } from '#domain/ref-update/delete-references';
import { inRefTransaction } from '#domain/ref-update/update-reference';
import type { RefUpdates } from '#domain/ref-update/voted-updates';
import { objectIdProblem } from '#git/names/object-id';
import { startsWithAny } from '#git/names/prefixes';
import { validateReference } from '#git/names/validate-reference';
import { validateRevision } from '#git/names/validate-revision';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import { openRequests } from '#services/convert/request/first-request';
import type { Repository } from '#storage/repository';
import {
  DeleteRefsErrorSchema,
  type DeleteRefsRequest,
  type UpdateReferencesRequest_Update as Update,
  UpdateReferencesErrorSchema,
  type UpdateReferencesRequest,
} from '#wire/gen/ref_pb';
import type { Handlers } from '../dependencies.ts';

/**
 * Creates, changes and deletes references, all or none, without access checks and users' hooks.
 * Updates go to git as they come.
 */
export const updateReferences: Handlers['updateReferences'] = async (requests, context, deps) => {
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
};

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

const HEAD = Buffer.from('HEAD');

/** Deletes references by name, or all except those with some prefixes; all or none. */
export const deleteRefs: Handlers['deleteRefs'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  checkFields(request);
  const { signal } = context;
  const names =
    request.refs.length > 0 ? request.refs : await namesExcept(repository, request.exceptWithPrefix, signal);
  const bad: Uint8Array[] = [];
  await eachInTurn(names, (name) => {
    if (validateRevision(name) !== undefined || HEAD.equals(name)) bad.push(name);
  });
  if (bad.length > 0) {
    // Gitaly deletes HEAD on request, after which the repository is invalid.
    const details = [
      create(DeleteRefsErrorSchema, { error: { case: 'invalidFormat', value: { refs: bad } } }),
    ];
    throw invalidArgument('invalid references', { details });
  }
  await deleteReferences(repository, names, { vote: deps.voteOf(context), signal }).catch(refuseDeletion);
  return {};
};

function checkFields({ refs, exceptWithPrefix }: DeleteRefsRequest): void {
  const problem =
    refs.length > 0 && exceptWithPrefix.length > 0
      ? 'ExceptWithPrefix and Refs are mutually exclusive'
      : refs.length === 0 && exceptWithPrefix.length === 0
        ? 'empty ExceptWithPrefix and Refs'
        : exceptWithPrefix.some((prefix) => prefix.length === 0)
          ? 'empty prefix for exclusion'
          : refs.some((ref) => ref.length === 0)
            ? 'empty ref'
            : undefined;
  if (problem !== undefined) throw invalidArgument(problem);
}

/** Prefixes are bytes: `refs/heads/m` keeps `refs/heads/main`. */
async function namesExcept(
  repository: Repository,
  prefixes: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<Buffer[]> {
  const isKept = await startsWithAny(prefixes, signal);
  const names: Buffer[] = [];
  for await (const refs of repository.refs.list({ patterns: ['refs/'] }, { signal }))
    for (const { name } of refs) if (!isKept(name)) names.push(name);
  return names;
}

function refuseDeletion(error: unknown): never {
  const cause = error instanceof GitalyError ? error.cause : undefined;
  if (!(cause instanceof RefUpdateError && cause.problem === 'locked')) throw error;
  const refs = [cause.facts.reference ?? Buffer.alloc(0)];
  const details = [create(DeleteRefsErrorSchema, { error: { case: 'referencesLocked', value: { refs } } })];
  throw wrap(cause, 'cannot lock references', 'ABORTED', { details });
}
