import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { CommitOf } from '#git/history/read-commits';
import type { NamedObject } from '#git/objects/read-many';
import { chunkEncoded } from '#services/convert/response/chunk-batches';
import type { CommitExtras } from '#services/convert/response/commit';
import { encodedCommit } from '#services/convert/response/encoded-commit';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumber, fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { PaginationCursorSchema } from '#wire/gen/shared_pb';

/** Encoded commits, as many as one message takes. */
export type CommitChunk = readonly Buffer[];

/** Encodes commits as they come, with further facts, and collects them into chunks of less than 1 MiB. */
export function encodeCommits(
  batches: AsyncIterable<readonly CommitOf<NamedObject & CommitExtras>[]>,
): AsyncGenerator<CommitChunk, void> {
  return chunkEncoded(encodeEach(batches));
}

async function* encodeEach(
  batches: AsyncIterable<readonly CommitOf<NamedObject & CommitExtras>[]>,
): AsyncGenerator<Buffer[], void> {
  for await (const batch of batches) yield batch.map(({ commit, item }) => encodedCommit(commit, item));
}

const { nextCursor: NEXT_CURSOR } = fieldNumbers(PaginationCursorSchema, { nextCursor: 'text' });

/** Encodes a response whose field `commits` is a list of commits, and which may have a cursor. */
export function commitsResponse<Desc extends DescMessage>(
  schema: Desc,
  commits: CommitChunk,
  { nextCursor = '' }: { readonly nextCursor?: string | undefined } = {},
): MessageShape<Desc> {
  const encoded = encodeWith((writer) => {
    if (nextCursor !== '') {
      writer.text(NEXT_CURSOR, nextCursor);
      writer.message(fieldNumber(schema, 'paginationCursor', 'message'), 0);
    }
    const field = fieldNumber(schema, 'commits', 'message');
    for (const commit of commits.toReversed()) writer.bytes(field, commit);
  });
  return encodedMessage(schema, encoded);
}
