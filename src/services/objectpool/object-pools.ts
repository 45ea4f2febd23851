import { invalidArgument, messageOf, withCode, wrap, wrapped } from '#base/gitaly-error';
import { createPool } from '#domain/object-pool/create-pool';
import { deletePool } from '#domain/object-pool/delete-pool';
import { disconnectMember } from '#domain/object-pool/disconnect-member';
import { fetchIntoPool } from '#domain/object-pool/fetch-into-pool';
import { linkMember } from '#domain/object-pool/link-member';
import { InvalidPoolError, openPool, requirePoolPath } from '#domain/object-pool/open-pool';
import { poolOfMember } from '#domain/object-pool/pool-of-member';
import { reduplicate } from '#domain/object-pool/reduplicate';
import type { Repository } from '#storage/repository';
import type { FetchIntoObjectPoolRequest } from '#wire/gen/objectpool_pb';
import type { Handlers, ObjectPoolDependencies } from './dependencies.ts';

/** Creates an object pool from a repository, which does not become a member. */
export const createObjectPool: Handlers['createObjectPool'] = async (request, context, deps) => {
  const { origin } = request;
  if (origin === undefined) throw invalidArgument('no origin repository');
  const pool = request.objectPool?.repository;
  if (pool === undefined) throw invalidArgument('no object pool repository');
  requirePoolPath(pool.relativePath);

  const options = { signal: context.signal, vote: deps.voteOf(context) };
  await createPool(deps.storages, pool, origin, options).catch(wrapped('creating object pool'));
  return {};
};

/** Deletes an object pool. A missing one, or one that is no repository, is no error. */
export const deleteObjectPool: Handlers['deleteObjectPool'] = async (request, context, deps) => {
  let pool: Repository;
  try {
    pool = openPool(deps.storages, request.objectPool?.repository);
  } catch (error) {
    if (error instanceof InvalidPoolError) return {};
    throw error;
  }

  await deletePool(deps.storages, pool, {
    maintenance: deps.housekeeping.runs,
    signal: context.signal,
    onLeftover: (error) => context.log.add({ remove_repository_leftover: messageOf(error) }),
  });
  return {};
};

/**
 * Returns the pool from which a repository borrows objects, if there is one. Alternates that lead
 * elsewhere are logged, and count as none.
 */
export const getObjectPool: Handlers['getObjectPool'] = async (request, { log }, deps) => {
  const member = deps.storages.open(request.repository);

  const repository = await poolOfMember(deps.storages, member).catch((error: unknown) => {
    log.add({ invalid_alternates: messageOf(error) });
    return undefined;
  });
  if (repository === undefined) return {};
  const { storageName, relativePath } = repository;
  return { objectPool: { repository: { storageName, relativePath } } };
};

/** Lets a repository borrow objects from a pool. */
export const linkRepositoryToObjectPool: Handlers['linkRepositoryToObjectPool'] = async (
  request,
  context,
  deps,
) => {
  const member = deps.storages.open(request.repository);
  const pool = openPool(deps.storages, request.objectPool?.repository);

  const { borrowers } = deps.storages;
  await linkMember(pool, member, { borrowers, vote: deps.voteOf(context), signal: context.signal });
  return {};
};

/** Makes a member of a pool independent of it. */
export const disconnectGitAlternates: Handlers['disconnectGitAlternates'] = async (
  request,
  context,
  deps,
) => {
  const member = deps.storages.open(request.repository);

  await disconnectMember(member, {
    maintenance: deps.housekeeping.runs,
    vote: deps.voteOf(context),
    signal: context.signal,
  });
  return {};
};

/** Gives a member of a pool its own copies of the objects that it borrows. */
export const reduplicateRepository: Handlers['reduplicateRepository'] = async (request, { signal }, deps) => {
  const member = deps.storages.open(request.repository);

  using _run = await deps.housekeeping.runs.takeOver(member, signal);
  await reduplicate(member, signal);
  return {};
};

/** Adds the objects of a member, the origin, to its pool. */
export const fetchIntoObjectPool: Handlers['fetchIntoObjectPool'] = async (request, context, deps) => {
  checkFields(request);
  const pool = openRequestedPool(request, deps);
  const origin = openOrigin(request, deps);

  await fetchIntoPool(pool, origin, {
    housekeeping: deps.housekeeping,
    hooks: deps.transactionHooks(context),
    vote: deps.voteOf(context),
    signal: context.signal,
  });
  return {};
};

function checkFields({ origin, objectPool }: FetchIntoObjectPoolRequest): void {
  const problem =
    origin === undefined
      ? 'origin is empty'
      : objectPool === undefined
        ? 'object pool is empty'
        : origin.storageName !== (objectPool.repository?.storageName ?? '')
          ? 'origin has different storage than object pool'
          : undefined;
  if (problem !== undefined) throw invalidArgument(problem);
}

function openRequestedPool(
  { objectPool }: FetchIntoObjectPoolRequest,
  deps: ObjectPoolDependencies,
): Repository {
  try {
    return openPool(deps.storages, objectPool?.repository);
  } catch (error) {
    const invalid = wrap(error, 'object pool invalid', 'INVALID_ARGUMENT');
    if (!(error instanceof InvalidPoolError)) throw invalid;
    throw invalidArgument(invalid.message, { cause: error });
  }
}

function openOrigin({ origin }: FetchIntoObjectPoolRequest, deps: ObjectPoolDependencies): Repository {
  try {
    return deps.storages.open(origin);
  } catch (error) {
    throw wrap(withCode(error, 'INTERNAL'), "computing origin repo's path");
  }
}
