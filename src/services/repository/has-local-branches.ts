import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import type { HasLocalBranchesRequest, HasLocalBranchesResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryRooms } from './index.ts';

/** Whether any branch leads to a commit. */
export async function hasLocalBranches(
  request: HasLocalBranchesRequest,
  context: HandlerContext,
  rooms: RepositoryRooms,
): Promise<MessageInitShape<typeof HasLocalBranchesResponseSchema>> {
  const { refs } = rooms.storages.open(request.repository);
  return { value: await refs.hasBranches({ signal: context.signal }) };
}
