import { isUtf8 } from 'node:buffer';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { FindRefsByOIDRequest, FindRefsByOIDResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';
import { pipelineError } from '../listing-error.ts';

const EVERYWHERE = ['refs/tags/', 'refs/heads/'];

/** Lists the full names of the references that are, or peel to, an object; `limit` 0 means all. */
export async function findRefsByOID(
  request: FindRefsByOIDRequest,
  { signal }: HandlerContext,
  deps: RefDependencies,
): Promise<MessageInitShape<typeof FindRefsByOIDResponseSchema>> {
  const { refs } = deps.storages.open(request.repository);
  if (request.oid === '') throw new GitalyError('INVALID_ARGUMENT', 'empty Oid');

  const query = {
    patterns: request.refPatterns.length > 0 ? request.refPatterns : EVERYWHERE,
    pointsAt: [request.oid],
    ...(request.sortField !== '' && { sort: request.sortField }),
    ...(request.limit > 0 && { limit: request.limit }),
  };
  const names: string[] = [];
  try {
    for await (const batch of refs.list(query, { signal }))
      names.push(...batch.map(({ name }) => text(name)));
  } catch (error) {
    throw pipelineError(error);
  }
  return { refs: names };
}

/** Decodes a name for a field of text, which cannot hold other bytes. */
function text(name: Buffer): string {
  if (!isUtf8(name))
    throw new GitalyError('INTERNAL', 'grpc: error while marshaling: string field contains invalid UTF-8');
  return name.toString();
}
