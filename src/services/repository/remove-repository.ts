import type { MessageInitShape } from '@bufbuild/protobuf';
import { messageOf } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import { removeRepository as remove } from '#storage/remove-repository';
import type { RemoveRepositoryRequest, RemoveRepositoryResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryRooms } from './index.ts';

/** Removes a repository, also one that others borrow objects from. */
export async function removeRepository(
  request: RemoveRepositoryRequest,
  context: HandlerContext,
  rooms: RepositoryRooms,
): Promise<MessageInitShape<typeof RemoveRepositoryResponseSchema>> {
  const repository = rooms.storages.open(request.repository);

  await remove(repository, {
    vote: rooms.voteOf(context),
    onLeftover: (error) => context.log.add({ remove_repository_leftover: messageOf(error) }),
  });
  return {};
}
