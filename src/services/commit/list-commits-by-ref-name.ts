import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import type { HandlerContext } from '#rpc/server/handler';
import {
  ListCommitsByRefNameResponse_CommitForRefSchema as CommitForRefSchema,
  type ListCommitsByRefNameRequest,
  type ListCommitsByRefNameResponseSchema,
} from '#wire/gen/commit_pb';
import { commitSizeBound, toCommitMessage } from '../convert/commit.ts';
import type { CommitRooms } from './index.ts';
import { type NamedCommit, readNamed } from './read-named.ts';

interface CommitForRef {
  readonly commit: ReturnType<typeof toCommitMessage>;
  readonly refName: Uint8Array;
}

/** Reads the commits that references lead to, in the order asked for. References that lead to none are left out. */
export async function* listCommitsByRefName(
  request: ListCommitsByRefNameRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof ListCommitsByRefNameResponseSchema>> {
  const { objects } = rooms.storages.open(request.repository);

  const items = messages(readNamed(objects, request.refNames, context));
  const sizes = { sizeOf: size, upperBound: sizeBound };
  for await (const commitRefs of chunkBySize(items, sizes)) yield { commitRefs };
}

async function* messages(found: AsyncIterable<NamedCommit<Uint8Array>>): AsyncGenerator<CommitForRef> {
  for await (const { commit, revision } of found) {
    if (commit !== undefined) yield { commit: toCommitMessage(commit), refName: revision };
  }
}

function size(item: CommitForRef): number {
  return toBinary(CommitForRefSchema, create(CommitForRefSchema, item)).length;
}

function sizeBound({ commit, refName }: CommitForRef): number {
  return 16 + refName.length + commitSizeBound(commit);
}
