import { reduplicate } from '#domain/object-pool/reduplicate';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type {
  ReduplicateRepositoryRequest,
  ReduplicateRepositoryResponseSchema,
} from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/** Gives a member of a pool its own copies of the objects that it borrows. */
export async function reduplicateRepository(
  request: ReduplicateRepositoryRequest,
  { signal }: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof ReduplicateRepositoryResponseSchema> {
  const member = deps.storages.open(request.repository);

  using _run = await deps.housekeeping.runs.takeOver(member, signal);
  await reduplicate(member, signal);
  return {};
}
