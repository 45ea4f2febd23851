import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import { encodedMessage } from '#wire/fast/encoded-message';
import { ReverseWriter } from '#wire/fast/reverse-writer';
import { type ListCommitsByRefNameRequest, ListCommitsByRefNameResponseSchema } from '#wire/gen/commit_pb';
import { chunkEncoded } from '../convert/chunk-batches.ts';
import { toCommitMessage } from '../convert/commit.ts';
import { writeCommit } from '../convert/encode-commit.ts';
import type { CommitRooms } from './index.ts';
import { type NamedCommit, readNamed } from './read-named.ts';

/** Reads the commits that references lead to, in the order asked for. References that lead to none are left out. */
export async function* listCommitsByRefName(
  request: ListCommitsByRefNameRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof ListCommitsByRefNameResponseSchema>> {
  const { objects } = rooms.storages.open(request.repository);

  const encoded = encode(readNamed(objects, request.refNames, context));
  for await (const chunk of chunkEncoded(encoded)) yield responseOf(chunk);
}

async function* encode(batches: AsyncIterable<readonly NamedCommit<Uint8Array>[]>): AsyncGenerator<Buffer[], void> {
  const writer = new ReverseWriter();
  for await (const batch of batches) {
    yield batch.flatMap(({ revision, commit }) => {
      if (commit === undefined) return [];
      writer.bytes(2, revision);
      const end = writer.length;
      writeCommit(writer, toCommitMessage(commit));
      writer.message(1, end);
      return [writer.take()];
    });
  }
}

function responseOf(commitRefs: readonly Buffer[]): MessageShape<typeof ListCommitsByRefNameResponseSchema> {
  const writer = new ReverseWriter();
  for (const commitRef of commitRefs.toReversed()) writer.bytes(2, commitRef);
  return encodedMessage(ListCommitsByRefNameResponseSchema, writer.take());
}
