import type { MessageShape } from '@bufbuild/protobuf';
import type { CommitMessage } from '#services/convert/response/commit';
import { writeCommit, writePerson } from '#services/convert/response/encode-commit';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import type { ReverseWriter } from '#wire/fast/reverse-writer';
import { FindLocalBranchesResponseSchema, FindLocalBranchResponseSchema } from '#wire/gen/ref_pb';
import { BranchSchema } from '#wire/gen/shared_pb';

/**
 * Fields of a response that hold one branch: `local_branches` for clients of 16.7 and later, before
 * it perhaps `branches` for those of 15.0.
 */
export interface EncodedBranch {
  readonly bytes: Buffer;
  /** Of the newer field alone, by which messages are limited. */
  readonly length: number;
}

const RESPONSE = fieldNumbers(FindLocalBranchesResponseSchema, {
  branches: 'message',
  localBranches: 'message',
});
const BRANCH = fieldNumbers(BranchSchema, { name: 'bytes', targetCommit: 'message' });
const OLD_BRANCH = fieldNumbers(FindLocalBranchResponseSchema, {
  name: 'bytes',
  commitId: 'text',
  commitSubject: 'bytes',
  commitAuthor: 'message',
  commitCommitter: 'message',
  commit: 'message',
});

/** Encodes a branch. */
export function encodeBranch(writer: ReverseWriter, name: Buffer, commit: CommitMessage): EncodedBranch {
  writeCommit(writer, commit);
  writer.message(BRANCH.targetCommit, 0);
  writer.bytes(BRANCH.name, name);
  const { length } = writer;
  writer.message(RESPONSE.localBranches, 0);
  return { bytes: writer.take(), length };
}

/** Encodes a branch for clients of all versions; the commit in it is encoded once. */
export function encodeBranchTwice(writer: ReverseWriter, name: Buffer, commit: CommitMessage): EncodedBranch {
  writeCommit(writer, commit);
  const commitBytes = writer.take();

  writer.bytes(BRANCH.targetCommit, commitBytes);
  writer.bytes(BRANCH.name, name);
  const { length } = writer;
  writer.message(RESPONSE.localBranches, 0);

  const end = writer.length;
  writer.bytes(OLD_BRANCH.commit, commitBytes);
  writePerson(writer, OLD_BRANCH.commitCommitter, commit.committer);
  writePerson(writer, OLD_BRANCH.commitAuthor, commit.author);
  writer.bytes(OLD_BRANCH.commitSubject, commit.subject);
  writer.text(OLD_BRANCH.commitId, commit.id);
  writer.bytes(OLD_BRANCH.name, name);
  writer.message(RESPONSE.branches, end);
  return { bytes: writer.take(), length };
}

/** Encodes a response with branches and nothing else. */
export function responseOf(
  branches: readonly EncodedBranch[],
): MessageShape<typeof FindLocalBranchesResponseSchema> {
  return encodedMessage(FindLocalBranchesResponseSchema, Buffer.concat(branches.map(({ bytes }) => bytes)));
}
