import { defaultAttributes } from '#domain/attributes/default-attributes';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { takeBytes } from '#services/convert/request/take-bytes';
import type { GetInfoAttributesRequest, GetInfoAttributesResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Streams `.gitattributes` of HEAD; one empty message if there is none. */
export async function* getInfoAttributes(
  request: GetInfoAttributesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof GetInfoAttributesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const file = await defaultAttributes(repository, context.signal);
  let isEmpty = true;
  for await (const attributes of takeBytes(file?.stream ?? [], file?.size ?? 0)) {
    isEmpty = false;
    yield { attributes };
  }
  if (isEmpty) yield {};
}
