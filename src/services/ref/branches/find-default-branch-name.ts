import { wrap } from '#base/gitaly-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FindDefaultBranchNameRequest, FindDefaultBranchNameResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

/**
 * Returns the full name of the default branch, empty in a repository without branches; with
 * `head_only`, the target of HEAD, even if it does not exist.
 */
export async function findDefaultBranchName(
  request: FindDefaultBranchNameRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponseOf<typeof FindDefaultBranchNameResponseSchema> {
  const { refs } = deps.storages.open(request.repository);
  const { signal } = context;

  try {
    const name = request.headOnly ? await refs.headTarget({ signal }) : await refs.defaultBranch({ signal });
    return name === undefined ? {} : { name };
  } catch (error) {
    throw wrap(error, request.headOnly ? 'head reference' : 'get default branch');
  }
}
