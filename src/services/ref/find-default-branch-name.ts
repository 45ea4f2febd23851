import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { FindDefaultBranchNameRequest, FindDefaultBranchNameResponseSchema } from '#wire/gen/ref_pb';
import type { RefRooms } from './index.ts';

/**
 * The default branch by its full name, empty in a repository without branches; with `head_only` what HEAD leads to, whether it
 * exists or not.
 */
export async function findDefaultBranchName(
  request: FindDefaultBranchNameRequest,
  context: HandlerContext,
  rooms: RefRooms,
): Promise<MessageInitShape<typeof FindDefaultBranchNameResponseSchema>> {
  const { refs } = rooms.storages.open(request.repository);
  const { signal } = context;

  try {
    const name = request.headOnly ? await refs.headTarget({ signal }) : await refs.defaultBranch({ signal });
    return name === undefined ? {} : { name };
  } catch (error) {
    throw wrap(error, request.headOnly ? 'head reference' : 'get default branch');
  }
}
