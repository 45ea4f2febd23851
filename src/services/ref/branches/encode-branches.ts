import type { MessageShape } from '@bufbuild/protobuf';
import type { CommitMessage } from '#services/convert/response/commit';
import { encodeCommit, writePerson } from '#services/convert/response/encode-commit';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { FindLocalBranchesResponseSchema, FindLocalBranchResponseSchema } from '#wire/gen/ref_pb';
import { BranchSchema } from '#wire/gen/shared_pb';

/**
 * Fields of a response that hold one branch: `local_branches` for clients of 16.7 and later, before
 * it perhaps `branches` for those of 15.0.
 */
export interface EncodedBranch {
  readonly bytes: Buffer;
  /** Size of the newer field alone, which limits messages. */
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

/** Parts of branches with a commit that do not depend on the name. */
export interface EncodedCommit {
  /** Fields of a branch after its name. */
  readonly target: Buffer;
  /** Fields after the name of a branch for clients of 15.0, if they are wanted. */
  readonly old: Buffer | undefined;
}

export function encodeTarget(commit: CommitMessage): EncodedCommit {
  const target = encodeWith((writer) => {
    encodeCommit(writer, commit);
    writer.message(BRANCH.targetCommit, 0);
  });
  return { target, old: undefined };
}

/** Encodes a commit for clients of all versions; its message is encoded once. */
export function encodeTargetTwice(commit: CommitMessage): EncodedCommit {
  const commitBytes = encodeWith((writer) => encodeCommit(writer, commit));
  const target = encodeWith((writer) => writer.bytes(BRANCH.targetCommit, commitBytes));
  const old = encodeWith((writer) => {
    writer.bytes(OLD_BRANCH.commit, commitBytes);
    writePerson(writer, OLD_BRANCH.commitCommitter, commit.committer);
    writePerson(writer, OLD_BRANCH.commitAuthor, commit.author);
    writer.bytes(OLD_BRANCH.commitSubject, commit.subject);
    writer.text(OLD_BRANCH.commitId, commit.id);
  });
  return { target, old };
}

export function encodeBranch(name: Buffer, { old, target }: EncodedCommit): EncodedBranch {
  let length = 0;
  const bytes = encodeWith((writer) => {
    writer.encoded(target);
    writer.bytes(BRANCH.name, name);
    length = writer.length;
    writer.message(RESPONSE.localBranches, 0);
    if (old === undefined) return;
    const end = writer.length;
    writer.encoded(old);
    writer.bytes(OLD_BRANCH.name, name);
    writer.message(RESPONSE.branches, end);
  });
  return { bytes, length };
}

/** Encodes a response with branches and nothing else. */
export function responseOf(
  branches: readonly EncodedBranch[],
): MessageShape<typeof FindLocalBranchesResponseSchema> {
  const [only] = branches;
  const bytes =
    branches.length === 1 && only !== undefined
      ? only.bytes // may have megabytes
      : Buffer.concat(branches.map((branch) => branch.bytes));
  return encodedMessage(FindLocalBranchesResponseSchema, bytes);
}
