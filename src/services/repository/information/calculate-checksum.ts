import { calculateChecksum as calculate } from '#domain/checksum/calculate-checksum';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { CalculateChecksumRequest, CalculateChecksumResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Returns a checksum of the references that the nodes of a cluster compare. */
export async function calculateChecksum(
  request: CalculateChecksumRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CalculateChecksumResponseSchema> {
  const repository = deps.storages.open(request.repository);
  return { checksum: await calculate(repository, { signal: context.signal }) };
}
