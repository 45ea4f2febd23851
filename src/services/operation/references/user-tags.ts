import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { deleteWithHooks } from '#domain/ref-update/delete-with-hooks';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import { tagReference } from '#domain/revisions/reference-names';
import { createTag, TagExistsError } from '#domain/tag/create-tag';
import { validateRevision } from '#git/names/validate-revision';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { updateContextOf } from '#services/convert/request/update-context';
import { toCommitMessage } from '#services/convert/response/commit';
import { UserCreateTagErrorSchema, type UserCreateTagRequest } from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';
import { refusalCase } from '../error-details.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

/** Creates a tag on behalf of a user: a tag object if there is a message, else only a reference. */
export const userCreateTag: Handlers['userCreateTag'] = async (request, context, deps) => {
  const user = checkFields(request);
  const repository = deps.storages.open(request.repository);
  const { tagName: name, targetRevision: target, message, timestamp } = request;

  const { oid, isAnnotated, commit } = await createTag(
    repository,
    { name, target, message, user, seconds: timestamp?.seconds, mailmap: usesMailmap(context) },
    updateContextOf(user, context, deps.hooks),
  ).catch(refuse);
  return {
    tag: {
      name,
      id: oid,
      ...(commit && { targetCommit: toCommitMessage(commit) }),
      ...(isAnnotated && { message, messageSize: BigInt(message.length) }),
    },
  };
};

/** @throws {GitalyError} INVALID_ARGUMENT. */
function checkFields({ tagName, user, targetRevision, message }: UserCreateTagRequest): User {
  requireFilled(tagName, 'empty tag name');
  const problem = validateRevision(tagName);
  if (problem !== undefined) throw invalidArgument(`invalid tag name: ${problem}`);
  const known = requireUser(user);
  requireFilled(targetRevision, 'empty target revision');
  if (message.includes(0)) throw invalidArgument('tag message contains NUL byte');
  return known;
}

const REFUSALS = {
  'access-check': ['reference update denied by access checks', 'PERMISSION_DENIED'],
  'custom-hook': ['reference update denied by custom hooks', 'PERMISSION_DENIED'],
  git: ['reference update failed', 'FAILED_PRECONDITION'],
} as const;

function refuse(error: unknown): never {
  if (error instanceof TagExistsError) {
    const value = { referenceName: error.reference, oid: error.oid };
    throw new GitalyError('ALREADY_EXISTS', error.message, detail({ case: 'referenceExists', value }));
  }
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal === undefined) throw wrap(cause, 'updating reference');
  const [text, code] = REFUSALS[refusal.by];
  throw wrap(cause, text, code, detail(refusalCase(refusal)));
}

function detail(error: NonNullable<MessageInitShape<typeof UserCreateTagErrorSchema>['error']>) {
  return { details: [create(UserCreateTagErrorSchema, { error })] };
}

/** Deletes a tag on behalf of a user. A script's refusal is a response, not an error. */
export const userDeleteTag: Handlers['userDeleteTag'] = async (request, context, deps) => {
  const { tagName } = request;
  const repository = deps.storages.open(request.repository);
  requireFilled(tagName, 'empty tag name');
  const user = requireUser(request.user);

  try {
    const tag = { reference: tagReference(tagName), expected: request.expectedOldOid };
    await deleteWithHooks(repository, tag, updateContextOf(user, context, deps.hooks));
    return {};
  } catch (error) {
    if (error instanceof ReferenceNotFoundError)
      throw new GitalyError('FAILED_PRECONDITION', `tag not found: ${Buffer.from(tagName)}`);
    if (!(error instanceof UpdateFailedError)) throw error;
    const { refusal, cause } = error;
    if (refusal?.by === 'custom-hook') return { preReceiveError: refusal.error.message };
    throw withCode(cause, refusal?.by === 'git' ? 'FAILED_PRECONDITION' : 'INTERNAL');
  }
};
