import type { MessageShape } from '@bufbuild/protobuf';
import { encodedMessage } from '#wire/fast/encoded-message';
import type { ReverseWriter } from '#wire/fast/reverse-writer';
import { FindLocalBranchesResponseSchema } from '#wire/gen/ref_pb';
import type { CommitMessage } from '../convert/commit.ts';
import { writeCommit, writePerson } from '../convert/encode-commit.ts';

/** Fields of a response that hold one branch twice: `branches` for clients of 15.0, `local_branches` for those of 16.7 and later. */
export interface EncodedBranch {
  readonly bytes: Buffer;
  /** Of the newer one alone, by which messages are limited. */
  readonly length: number;
}

/** Encodes a branch; the commit in it is encoded once. */
export function encodeBranch(writer: ReverseWriter, name: Buffer, commit: CommitMessage): EncodedBranch {
  writeCommit(writer, commit);
  const commitBytes = writer.take();

  writer.bytes(2, commitBytes);
  writer.bytes(1, name);
  const { length } = writer;
  writer.message(2, 0);

  const end = writer.length;
  writer.bytes(6, commitBytes);
  writePerson(writer, 5, commit.committer);
  writePerson(writer, 4, commit.author);
  writer.bytes(3, commit.subject);
  writer.text(2, commit.id);
  writer.bytes(1, name);
  writer.message(1, end);
  return { bytes: writer.take(), length };
}

/** A response with branches and nothing else. */
export function responseOf(branches: readonly EncodedBranch[]): MessageShape<typeof FindLocalBranchesResponseSchema> {
  return encodedMessage(FindLocalBranchesResponseSchema, Buffer.concat(branches.map(({ bytes }) => bytes)));
}
