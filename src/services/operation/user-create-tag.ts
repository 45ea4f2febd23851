import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError, wrap } from '#base/gitaly-error';
import { signatureOf } from '#domain/identity/signature';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { writeTag } from '#domain/tag/write-tag';
import type { Ident } from '#git/objects/format-ident';
import { ZERO_OID } from '#git/objects/object-id';
import type { ObjectInfo } from '#git/objects/object-info';
import { ObjectWriter } from '#git/objects/write-objects';
import { validateRevision } from '#git/refs/validate-revision';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import {
  type UserCreateTagError,
  UserCreateTagErrorSchema,
  type UserCreateTagRequest,
  type UserCreateTagResponseSchema,
} from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import { toCommitMessage } from '../convert/commit.ts';
import { usesMailmap } from '../convert/feature-flags.ts';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { accessCheckCase, customHookCase, referenceUpdateCase } from './refusal-details.ts';
import { requireFilled, requireUser, resolveReference, tagReference } from './request-parts.ts';

/** Creates a tag on behalf of a user: with an object of its own when there is a message, else only a reference. */
export async function userCreateTag(
  request: UserCreateTagRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserCreateTagResponseSchema>> {
  const user = checkFields(request);
  const repository = rooms.storages.open(request.repository);
  const tagger = signatureOf(user, request.timestamp?.seconds);
  const { signal } = context;
  const reference = tagReference(request.tagName);

  const named = await findTarget(repository, request.targetRevision, signal);
  const isAnnotated = hasText(request.message);
  const target = isAnnotated ? named : await peel(repository, named, signal);
  await using quarantine = await Quarantine.create(repository);
  const oid = isAnnotated ? await makeTag(quarantine, request, target, tagger) : target.oid;

  const existing = await resolveReference(repository, reference, signal);
  if (existing !== undefined) {
    const value = { referenceName: reference, oid: existing };
    const details = [create(UserCreateTagErrorSchema, { error: { case: 'referenceExists', value } })];
    throw new GitalyError('ALREADY_EXISTS', 'tag reference exists already', { details });
  }
  const oldOid = ZERO_OID[repository.git.objectFormat(repository)];
  const update = { repository, quarantine, reference, oldOid, newOid: oid };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(refuse);

  const commit = await repository.objects.readCommit(target.oid, { signal, mailmap: usesMailmap(context) });
  return {
    tag: {
      name: request.tagName,
      id: oid,
      ...(commit && { targetCommit: toCommitMessage(commit) }),
      ...(isAnnotated && { message: request.message, messageSize: BigInt(request.message.length) }),
    },
  };
}

function checkFields({ tagName, user, targetRevision, message }: UserCreateTagRequest): User {
  requireFilled(tagName, 'empty tag name');
  const problem = validateRevision(tagName);
  if (problem !== undefined) throw new GitalyError('INVALID_ARGUMENT', `invalid tag name: ${problem}`);
  const known = requireUser(user);
  requireFilled(targetRevision, 'empty target revision');
  if (message.includes(0)) throw new GitalyError('INVALID_ARGUMENT', 'tag message contains NUL byte');
  return known;
}

async function findTarget(repository: Repository, revision: Uint8Array, signal: AbortSignal): Promise<ObjectInfo> {
  const found = revision.includes(0) ? undefined : await repository.objects.info(revision, { signal });
  if (found === undefined) throw new GitalyError('FAILED_PRECONDITION', `revspec '${Buffer.from(revision)}' not found`);
  return found;
}

/** What a chain of tags ends at. */
async function peel(repository: Repository, target: ObjectInfo, signal: AbortSignal): Promise<ObjectInfo> {
  return target.type === 'tag' ? await findTarget(repository, Buffer.from(`${target.oid}^{}`), signal) : target;
}

/** Whether a message has anything but ASCII white space; a vertical tab is none here. */
function hasText(message: Uint8Array): boolean {
  return message.some((byte) => !WHITE_SPACE.includes(byte));
}

const WHITE_SPACE = Buffer.from('\t\n\f\r ');

async function makeTag(
  quarantine: Quarantine,
  { tagName, message }: UserCreateTagRequest,
  target: ObjectInfo,
  tagger: Ident,
): Promise<string> {
  const { repository } = quarantine;
  await using writer = new ObjectWriter(repository, repository.git.objectFormat(repository));
  const oid = await writeTag(writer, { name: tagName, target, tagger, message });
  await writer.finish();
  if (oid !== undefined) return oid;
  const text = `Gitlab::Git::CommitError: Could not update ${tagReference(tagName)}. Please refresh and try again.`;
  throw new GitalyError('NOT_FOUND', text);
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  switch (refusal?.by) {
    case 'access-check':
      throw wrap(error, 'reference update denied by access checks', 'PERMISSION_DENIED', detail(accessCheckCase(refusal.error)));
    case 'custom-hook':
      throw wrap(error, 'reference update denied by custom hooks', 'PERMISSION_DENIED', detail(customHookCase(refusal.error)));
    case 'git':
      throw wrap(error, 'reference update failed', 'FAILED_PRECONDITION', detail(referenceUpdateCase(refusal.error)));
    case undefined:
      throw wrap(error, 'updating reference');
  }
}

function detail(error: UserCreateTagError['error']): { details: ErrorDetail[] } {
  return { details: [create(UserCreateTagErrorSchema, { error })] };
}
