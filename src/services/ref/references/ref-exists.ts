import { invalidArgument } from '#base/gitaly-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { RefExistsRequest, RefExistsResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

const NAMESPACE = Buffer.from('refs/');

/** Reports whether a reference of exactly this name exists. An invalid name counts as missing. */
export async function refExists(
  request: RefExistsRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponseOf<typeof RefExistsResponseSchema> {
  const { refs } = deps.storages.open(request.repository);
  if (!NAMESPACE.equals(request.ref.subarray(0, NAMESPACE.length))) throw invalidArgument('invalid refname');

  return { value: await refs.exists(request.ref, { signal: context.signal }) };
}
