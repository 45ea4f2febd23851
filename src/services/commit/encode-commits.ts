import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { CommitOf } from '#git/history/read-commits';
import type { NamedObject } from '#git/objects/read-many';
import { encodedMessage } from '#wire/fast/encoded-message';
import { ReverseWriter } from '#wire/fast/reverse-writer';
import { chunkEncoded } from '../convert/chunk-batches.ts';
import { type CommitExtras, type CommitMessage, toCommitMessage } from '../convert/commit.ts';
import { writeCommit } from '../convert/encode-commit.ts';

/** Encoded commits, as many as one message takes. */
export type CommitChunk = readonly Buffer[];

/** Encodes commits as they come, and collects them into chunks of less than 1 MiB. */
export async function* encodeCommits(batches: AsyncIterable<readonly CommitMessage[]>): AsyncGenerator<CommitChunk, void> {
  const writer = new ReverseWriter();
  const encode = (commit: CommitMessage): Buffer => {
    writeCommit(writer, commit);
    return writer.take();
  };
  const encoded = async function* () {
    for await (const batch of batches) yield batch.map(encode);
  };
  yield* chunkEncoded(encoded());
}

/** A response whose field 1 is a list of commits. */
export function commitsResponse<Desc extends DescMessage>(
  schema: Desc,
  commits: CommitChunk,
  { nextCursor = '' }: { readonly nextCursor?: string | undefined } = {},
): MessageShape<Desc> {
  const writer = new ReverseWriter();
  if (nextCursor !== '') {
    writer.text(1, nextCursor);
    writer.message(2, 0);
  }
  for (const commit of commits.toReversed()) writer.bytes(1, commit);
  return encodedMessage(schema, writer.take());
}

/** Commits that were read, as messages, with what is known of them besides. */
export async function* commitMessages(
  batches: AsyncIterable<readonly CommitOf<NamedObject & CommitExtras>[]>,
): AsyncGenerator<CommitMessage[]> {
  for await (const batch of batches) yield batch.map(({ commit, item }) => toCommitMessage(commit, item));
}
