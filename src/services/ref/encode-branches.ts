import type { MessageShape } from '@bufbuild/protobuf';
import { encodedMessage } from '#wire/fast/encoded-message';
import type { ReverseWriter } from '#wire/fast/reverse-writer';
import { FindLocalBranchesResponseSchema } from '#wire/gen/ref_pb';
import type { CommitMessage } from '../convert/commit.ts';
import { writeCommit, writePerson } from '../convert/encode-commit.ts';

/** A branch for clients of 16.7 and later, and the same one for those of 15.0. Fields of the response, tags included. */
export interface EncodedBranch {
  readonly bytes: Buffer;
  readonly oldBytes: Buffer;
  /** Of the branch alone, for the limit of a message. */
  readonly length: number;
}

/** Encodes a branch. The commit is encoded once for both. */
export function encodeBranch(writer: ReverseWriter, name: Buffer, commit: CommitMessage): EncodedBranch {
  writeCommit(writer, commit);
  const commitBytes = writer.take();

  writer.bytes(2, commitBytes);
  writer.bytes(1, name);
  const length = writer.length;
  writer.message(2, 0);
  const bytes = writer.take();

  writer.bytes(6, commitBytes);
  writePerson(writer, 5, commit.committer);
  writePerson(writer, 4, commit.author);
  writer.bytes(3, commit.subject);
  writer.text(2, commit.id);
  writer.bytes(1, name);
  writer.message(1, 0);
  return { bytes, oldBytes: writer.take(), length };
}

/** Clients of 16.7 and later read `local_branches`, those of 15.0 `branches`. */
export function responseOf(branches: readonly EncodedBranch[]): MessageShape<typeof FindLocalBranchesResponseSchema> {
  const fields = [...branches.map(({ oldBytes }) => oldBytes), ...branches.map(({ bytes }) => bytes)];
  return encodedMessage(FindLocalBranchesResponseSchema, Buffer.concat(fields));
}
