import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import type { ListCommitsByOidRequest, ListCommitsByOidResponseSchema } from '#wire/gen/commit_pb';
import { type CommitMessage, chunkCommits, toCommitMessage } from '../convert/commit.ts';
import type { CommitRooms } from './index.ts';
import { type NamedCommit, readNamed } from './read-named.ts';

/** Reads commits in the order asked for, as often as asked for. What leads to no commit is left out. */
export async function* listCommitsByOid(
  request: ListCommitsByOidRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof ListCommitsByOidResponseSchema>> {
  const { objects } = rooms.storages.open(request.repository);

  for await (const commits of chunkCommits(messages(readNamed(objects, request.oid, context)))) yield { commits };
}

async function* messages(found: AsyncIterable<NamedCommit<string>>): AsyncGenerator<CommitMessage> {
  for await (const { commit } of found) if (commit !== undefined) yield toCommitMessage(commit);
}
