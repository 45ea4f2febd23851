import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import { encodedMessage } from '#wire/fast/encoded-message';
import { encodeWith } from '#wire/fast/reverse-writer';
import { type FindCommitRequest, FindCommitResponseSchema } from '#wire/gen/commit_pb';
import { toCommitMessage } from '../convert/commit.ts';
import { writeCommit } from '../convert/encode-commit.ts';
import { usesMailmap } from '../convert/feature-flags.ts';
import { requireRevision } from '../convert/revision.ts';
import type { CommitRooms } from './index.ts';

/** Reads the commit that a revision leads to, tags peeled. A revision that leads to none is an empty answer, not an error. */
export async function findCommit(
  request: FindCommitRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): Promise<MessageInitShape<typeof FindCommitResponseSchema>> {
  const { objects } = rooms.storages.open(request.repository);
  const revision = requireRevision(request.revision);

  const { signal } = context;
  const commit = await objects.readCommit(revision, { signal, mailmap: usesMailmap(context) });
  if (commit === undefined) return {};
  const extras = request.trailers ? { trailers: await objects.readTrailers(commit, { signal }) } : {};
  const encoded = encodeWith((writer) => {
    writeCommit(writer, toCommitMessage(commit, extras));
    writer.message(1, 0);
  });
  return encodedMessage(FindCommitResponseSchema, encoded);
}
