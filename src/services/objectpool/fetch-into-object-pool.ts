import { invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { fetchIntoPool } from '#domain/object-pool/fetch-into-pool';
import { InvalidPoolError, openPool } from '#domain/object-pool/open-pool';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { FetchIntoObjectPoolRequest, FetchIntoObjectPoolResponseSchema } from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/** Adds the objects of a member, the origin, to its pool. */
export async function fetchIntoObjectPool(
  request: FetchIntoObjectPoolRequest,
  context: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof FetchIntoObjectPoolResponseSchema> {
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
}

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
