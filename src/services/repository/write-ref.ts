import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { setDefaultBranch } from '#domain/ref-update/set-default-branch';
import { UnknownRevisionError, writeReference } from '#domain/ref-update/write-reference';
import { requireRevision } from '#services/convert/request/revision';
import { ReferenceNotFoundErrorSchema } from '#wire/gen/errors_pb';
import type { Handlers } from './dependencies.ts';

const HEAD = Buffer.from('HEAD');

/**
 * Writes one reference, or the symbolic reference HEAD, without access checks and custom hooks. A
 * revision of zeros deletes; an old revision of zeros means that the reference must not exist.
 */
export const writeRef: Handlers['writeRef'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const name = requireRevision(request.ref, { prefix: 'invalid ref: ' });
  const revision = requireRevision(request.revision, { prefix: 'invalid revision: ' });
  const oldRevision = requireRevision(request.oldRevision, {
    prefix: 'invalid OldRevision: ',
    allowEmpty: true,
  });
  const isHead = name.equals(HEAD);
  if (!isHead && !name.toString('latin1').startsWith('refs/')) {
    throw invalidArgument('ref has to be a full reference');
  }

  const { signal } = context;
  const hooks = deps.transactionHooks(context);
  if (isHead) {
    await setDefaultBranch(repository, revision, { hooks, signal }).catch(wrapped('setting default branch'));
  } else {
    await writeReference(repository, { name, revision, oldRevision }, { hooks, signal }).catch(refuse);
  }
  return {};
};

function refuse(error: unknown): never {
  if (!(error instanceof UnknownRevisionError)) throw error;
  const details = [create(ReferenceNotFoundErrorSchema, { referenceName: error.revision })];
  throw new GitalyError('NOT_FOUND', error.message, { details });
}
