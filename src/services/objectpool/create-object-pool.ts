import { invalidArgument, wrapped } from '#base/gitaly-error';
import { createPool } from '#domain/object-pool/create-pool';
import { requirePoolPath } from '#domain/object-pool/open-pool';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { CreateObjectPoolRequest, CreateObjectPoolResponseSchema } from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/** Creates an object pool from a repository, which does not become a member. */
export async function createObjectPool(
  request: CreateObjectPoolRequest,
  context: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof CreateObjectPoolResponseSchema> {
  const { origin } = request;
  if (origin === undefined) throw invalidArgument('no origin repository');
  const pool = request.objectPool?.repository;
  if (pool === undefined) throw invalidArgument('no object pool repository');
  requirePoolPath(pool.relativePath);

  const options = { signal: context.signal, vote: deps.voteOf(context) };
  await createPool(deps.storages, pool, origin, options).catch(wrapped('creating object pool'));
  return {};
}
