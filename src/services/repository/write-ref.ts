import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { setDefaultBranch } from '#domain/ref-update/set-default-branch';
import { updateReference } from '#domain/ref-update/update-reference';
import { objectIdProblem } from '#git/objects/object-id';
import { RefUpdateError } from '#git/refs/ref-update-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { ReferenceNotFoundErrorSchema } from '#wire/gen/errors_pb';
import type { WriteRefRequest, WriteRefResponseSchema } from '#wire/gen/repository_pb';
import { requireRevision } from '../convert/revision.ts';
import type { RepositoryRooms } from './index.ts';

const HEAD = Buffer.from('HEAD');
const PEEL_NOTHING = Buffer.from('^{object}');

/**
 * Writes one reference, or the symbolic reference HEAD, without access checks and users' hooks. A revision of zeros deletes; an old
 * revision of zeros means that the reference must not exist.
 */
export async function writeRef(
  request: WriteRefRequest,
  context: HandlerContext,
  rooms: RepositoryRooms,
): Promise<MessageInitShape<typeof WriteRefResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const name = requireRevision(request.ref, { prefix: 'invalid ref: ' });
  const revision = requireRevision(request.revision, { prefix: 'invalid revision: ' });
  const oldRevision = requireRevision(request.oldRevision, { prefix: 'invalid OldRevision: ', allowEmpty: true });
  const isHead = name.equals(HEAD);
  if (!isHead && !name.toString('latin1').startsWith('refs/')) {
    throw new GitalyError('INVALID_ARGUMENT', 'ref has to be a full reference');
  }

  const { signal } = context;
  const hooks = rooms.transactionHooks(context, repository);
  if (isHead) {
    await setDefaultBranch(repository, revision, { hooks, signal, vote: rooms.voteOf(context) }).catch((error: unknown) => {
      throw wrap(error, 'setting default branch');
    });
    return {};
  }
  // git looks for the object when it writes the reference. Only where it says no, or others hear of the change before, is it worth asking first.
  const isForGit = hooks === undefined && isFullOid(repository, revision);
  const newOid = isForGit ? revision.toString('latin1') : await resolve(repository, revision, 'new', signal);
  try {
    const oldOid = oldRevision.length === 0 ? undefined : await resolve(repository, oldRevision, 'old', signal);
    await updateReference(repository, name, { newOid, oldOid }, { hooks, signal }).catch(refuse);
  } catch (error) {
    // That the object is missing is told before anything else.
    if (isForGit) await resolve(repository, revision, 'new', signal);
    throw error;
  }
  return {};
}

function isFullOid(repository: Repository, revision: Buffer): boolean {
  return objectIdProblem(revision, repository.git.objectFormat(repository)) === undefined;
}

/** The id of the object that a revision names, tags not peeled; zeros stand for themselves. */
async function resolve(repository: Repository, revision: Buffer, which: 'new' | 'old', signal: AbortSignal): Promise<string> {
  const zeros = '0'.repeat(repository.git.objectFormat(repository) === 'sha1' ? 40 : 64);
  if (revision.equals(Buffer.from(zeros))) return zeros;

  const object = await repository.objects.info(Buffer.concat([revision, PEEL_NOTHING]), { signal });
  if (object !== undefined) return object.oid;
  throw new GitalyError('NOT_FOUND', `resolving ${which} revision: reference not found`, {
    details: [create(ReferenceNotFoundErrorSchema, { referenceName: revision })],
  });
}

function refuse(error: unknown): never {
  if (error instanceof RefUpdateError && error.problem === 'locked') {
    throw new GitalyError('ABORTED', 'reference is locked already', { cause: error });
  }
  throw wrap(error, 'error when running update-ref command');
}
