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

/** The parts of branches with a commit that are the same whatever their names are. */
export interface EncodedCommit {
  /** Fields of a branch after its name. */
  readonly target: Buffer;
  /** Fields after the name of a branch for clients of 15.0, if they are wanted. */
  readonly old: Buffer | undefined;
}

/** Encodes a commit. */
export function encodeTarget(writer: ReverseWriter, commit: CommitMessage): EncodedCommit {
  writeCommit(writer, commit);
  writer.message(BRANCH.targetCommit, 0);
  return { target: writer.take(), old: undefined };
}

/** Encodes a commit for clients of all versions; its message is encoded once. */
export function encodeTargetTwice(writer: ReverseWriter, commit: CommitMessage): EncodedCommit {
  writeCommit(writer, commit);
  const commitBytes = writer.take();

  writer.bytes(BRANCH.targetCommit, commitBytes);
  const target = writer.take();

  writer.bytes(OLD_BRANCH.commit, commitBytes);
  writePerson(writer, OLD_BRANCH.commitCommitter, commit.committer);
  writePerson(writer, OLD_BRANCH.commitAuthor, commit.author);
  writer.bytes(OLD_BRANCH.commitSubject, commit.subject);
  writer.text(OLD_BRANCH.commitId, commit.id);
  return { target, old: writer.take() };
}

/** Encodes a branch with an encoded commit. */
export function encodeBranch(
  writer: ReverseWriter,
  name: Buffer,
  { old, target }: EncodedCommit,
): EncodedBranch {
  writer.encoded(target);
  writer.bytes(BRANCH.name, name);
  const { length } = writer;
  writer.message(RESPONSE.localBranches, 0);
  if (old !== undefined) {
    const end = writer.length;
    writer.encoded(old);
    writer.bytes(OLD_BRANCH.name, name);
    writer.message(RESPONSE.branches, end);
  }
  return { bytes: writer.take(), length };
}

/** Encodes a response with branches and nothing else. */
export function responseOf(
  branches: readonly EncodedBranch[],
): MessageShape<typeof FindLocalBranchesResponseSchema> {
  return encodedMessage(FindLocalBranchesResponseSchema, Buffer.concat(branches.map(({ bytes }) => bytes)));
}
