import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { Connection } from '#client/connection';
import { HookRejectedError, typedError } from '#client/repository/errors';
import { applyPatch } from '#client/split/apply-patch';
import { commitFiles, type FileAction } from '#client/split/commit-files';
import { confirmMerge, confirmRebase, type MergeHeader, requireAccepted } from '#client/split/confirm-merge';
import type { Content } from '#client/split/split-bytes';
import type {
  OperationBranchUpdate,
  UserCherryPickRequestSchema,
  UserCommitFilesRequestHeaderSchema,
  UserMergeToRefRequestSchema,
  UserRebaseConfirmableRequest_HeaderSchema,
  UserRebaseToRefRequestSchema,
  UserRevertRequestSchema,
  UserSquashRequestSchema,
  UserUpdateSubmoduleRequestSchema,
} from '#wire/gen/operations_pb';
import type { Branch, Tag, UserSchema } from '#wire/gen/shared_pb';
import { PreReceiveError } from './pre-receive-error.ts';
import { bytes, RepositoryCalls, type TextOrBytes } from './storage-calls.ts';

/** The user for whom a change is made. */
export type User = MessageInitShape<typeof UserSchema>;

/** The fields of a request but its repository. */
type Fields<Init> = Omit<Exclude<Init, Message>, 'repository' | '$typeName' | '$unknown'>;

/** A repository of the request whose storage the server must reach. */
type Second = { readonly storageName?: string } | undefined;

/**
 * Changes for a user, with hooks and access checks. Failed ones throw `PreReceiveError`, or one of
 * the typed errors of `gitaly-ts/client/repository`: MergeConflictError, ReferenceChangedError,
 * AccessDeniedError, FileChangeError. @see GitLab: Gitlab::GitalyClient::OperationService
 */
export class OperationService extends RepositoryCalls {
  /** Creates a branch, `name` without `refs/heads/`, and returns it. */
  userCreateBranch(name: TextOrBytes, user: User, startPoint: TextOrBytes): Promise<Branch | undefined> {
    const { repository } = this;
    const request = { repository, user, branchName: bytes(name), startPoint: bytes(startPoint) };
    return this.#change(async ({ operation }) => {
      const { branch, preReceiveError } = await operation.userCreateBranch(request);
      requireAccepted(preReceiveError);
      return branch;
    });
  }

  /** Moves a branch from one commit to another. */
  userUpdateBranch(name: TextOrBytes, user: User, { oldrev, newrev }: Revisions): Promise<void> {
    const { repository } = this;
    const ids = { newrev: bytes(newrev), oldrev: bytes(oldrev) };
    return this.#change(async ({ operation }) => {
      const response = await operation.userUpdateBranch({
        repository,
        user,
        branchName: bytes(name),
        ...ids,
      });
      requireAccepted(response.preReceiveError);
    });
  }

  /** Deletes a branch. With `expectedOldOid` only if it is still there. */
  userDeleteBranch(name: TextOrBytes, user: User, expectedOldOid = ''): Promise<void> {
    const request = { repository: this.repository, user, branchName: bytes(name), expectedOldOid };
    return this.#change(async ({ operation }) => {
      requireAccepted((await operation.userDeleteBranch(request)).preReceiveError);
    });
  }

  /** Creates a tag, annotated if it has a message. @throws {GitalyError} ALREADY_EXISTS */
  addTag(
    name: TextOrBytes,
    user: User,
    { target, message = '' }: { target: TextOrBytes; message?: TextOrBytes },
  ): Promise<Tag | undefined> {
    const fields = { tagName: bytes(name), targetRevision: bytes(target), message: bytes(message) };
    return this.#change(async ({ operation }) => {
      const response = await operation.userCreateTag({ repository: this.repository, user, ...fields });
      requireAccepted(response.preReceiveError);
      if (response.exists) throw new GitalyError('ALREADY_EXISTS', 'tag already exists');
      return response.tag;
    });
  }

  /** Deletes a tag. */
  rmTag(name: TextOrBytes, user: User, expectedOldOid = ''): Promise<void> {
    const request = { repository: this.repository, user, tagName: bytes(name), expectedOldOid };
    return this.#change(async ({ operation }) => {
      requireAccepted((await operation.userDeleteTag(request)).preReceiveError);
    });
  }

  /** Writes a merge to a reference without moving a branch. Returns its id. */
  userMergeToRef(request: Fields<MessageInitShape<typeof UserMergeToRefRequestSchema>>): Promise<string> {
    return this.#change(
      async ({ operation }) =>
        (await operation.userMergeToRef({ ...request, repository: this.repository })).commitId,
    );
  }

  /** Merges a commit into a branch, and returns the id of the merge. */
  userMergeBranch(header: Fields<MergeHeader>): Promise<string> {
    return this.#change((gitaly) => confirmMerge(gitaly, { ...header, repository: this.repository }));
  }

  /** Moves a branch forward to a commit. Returns the update; `undefined` if the branch is there. */
  userFfBranch(
    user: User,
    {
      commitId,
      branch,
      expectedOldOid = '',
    }: { commitId: string; branch: TextOrBytes; expectedOldOid?: string },
  ): Promise<OperationBranchUpdate | undefined> {
    const request = { repository: this.repository, user, commitId, branch: bytes(branch), expectedOldOid };
    return this.#change(async ({ operation }) => updated(await operation.userFFBranch(request)));
  }

  /** Repeats the change of a commit on a branch. */
  userCherryPick(
    request: Fields<MessageInitShape<typeof UserCherryPickRequestSchema>>,
  ): Promise<OperationBranchUpdate | undefined> {
    return this.#change(
      async ({ operation }) =>
        updated(await operation.userCherryPick({ ...request, repository: this.repository })),
      request.startRepository,
    );
  }

  /** Undoes the change of a commit on a branch. */
  userRevert(
    request: Fields<MessageInitShape<typeof UserRevertRequestSchema>>,
  ): Promise<OperationBranchUpdate | undefined> {
    return this.#change(
      async ({ operation }) =>
        updated(await operation.userRevert({ ...request, repository: this.repository })),
      request.startRepository,
    );
  }

  /** Rebases a branch, and returns its new tip. */
  rebase(
    header: Fields<MessageInitShape<typeof UserRebaseConfirmableRequest_HeaderSchema>>,
  ): Promise<string> {
    return this.#change(
      (gitaly) => confirmRebase(gitaly, { ...header, repository: this.repository }),
      header.remoteRepository,
    );
  }

  /** Rebases commits onto a reference, and writes the result to another. Returns its id. */
  userRebaseToRef(request: Fields<MessageInitShape<typeof UserRebaseToRefRequestSchema>>): Promise<string> {
    return this.#change(
      async ({ operation }) =>
        (await operation.userRebaseToRef({ ...request, repository: this.repository })).commitId,
    );
  }

  /** Joins a range of commits into one, and returns its id. */
  userSquash(request: Fields<MessageInitShape<typeof UserSquashRequestSchema>>): Promise<string> {
    return this.#change(async ({ operation }) => {
      const response = await operation.userSquash({ ...request, repository: this.repository });
      if (response.gitError !== '') throw new GitalyError('FAILED_PRECONDITION', response.gitError);
      return response.squashSha;
    });
  }

  /** Sets a submodule to another commit. */
  userUpdateSubmodule(
    request: Fields<MessageInitShape<typeof UserUpdateSubmoduleRequestSchema>>,
  ): Promise<OperationBranchUpdate | undefined> {
    return this.#change(async ({ operation }) =>
      updated(await operation.userUpdateSubmodule({ ...request, repository: this.repository })),
    );
  }

  /** Commits changes of files. Contents may be streams. */
  userCommitFiles(
    header: Fields<MessageInitShape<typeof UserCommitFilesRequestHeaderSchema>>,
    actions: Iterable<FileAction> | AsyncIterable<FileAction>,
  ): Promise<OperationBranchUpdate | undefined> {
    return this.#change(
      (gitaly) => commitFiles(gitaly, { ...header, repository: this.repository }, actions),
      header.startRepository,
    );
  }

  /** Applies mails in the format of `git format-patch` to a branch. */
  userCommitPatches(
    user: User,
    branch: TextOrBytes,
    patches: Content,
  ): Promise<OperationBranchUpdate | undefined> {
    const header = { repository: this.repository, user, targetBranch: bytes(branch) };
    return this.#change((gitaly) => applyPatch(gitaly, header, patches));
  }

  async #change<T>(work: (gitaly: Connection) => Promise<T>, second?: Second): Promise<T> {
    const remoteStorage = second?.storageName;
    try {
      return await this.call('long', work, remoteStorage === undefined ? {} : { remoteStorage });
    } catch (error) {
      throw railsError(error);
    }
  }
}

/** Ids of a branch before and after a change. */
interface Revisions {
  readonly oldrev: TextOrBytes;
  readonly newrev: TextOrBytes;
}

/** The answer of most changes. 15.0 reports failures in its text fields. */
function updated(response: {
  readonly branchUpdate?: OperationBranchUpdate | undefined;
  readonly preReceiveError: string;
  readonly commitError?: string;
  readonly createTreeError?: string;
}): OperationBranchUpdate | undefined {
  requireAccepted(response.preReceiveError);
  const refusal = response.commitError || response.createTreeError || '';
  if (refusal !== '') throw new GitalyError('FAILED_PRECONDITION', refusal);
  return response.branchUpdate;
}

function railsError(error: unknown): unknown {
  const typed = typedError(error);
  if (typed instanceof HookRejectedError) {
    return new PreReceiveError(typed, typed.stderr.trim() === '' ? typed.stdout : typed.stderr);
  }
  return typed;
}
