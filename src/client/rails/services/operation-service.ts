import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import type { Connection } from '#client/connection';
import { type TextOrBytes, timestamp, toBytes } from '#client/repository/values';
import { applyPatch } from '#client/split/apply-patch';
import { commitFiles, type FileAction } from '#client/split/commit-files';
import {
  type Confirmation,
  confirmMerge,
  confirmRebase,
  type MergeHeader,
  requireAccepted,
} from '#client/split/confirm-merge';
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
import type { ClientContext } from '../client-context.ts';
import {
  CHERRY_PICK_RULES,
  COMMIT_FILES_RULES,
  commandError,
  operationError,
  REBASE_RULES,
  REVERT_RULES,
  submoduleRules,
} from './operation-errors.ts';
import { CommitError, CreateTreeError, IndexError, InvalidRef, TagExistsError } from './rails-errors.ts';
import { RepositoryCalls } from './storage-calls.ts';
import type { ErrorRules } from './translate-errors.ts';

/** The user for whom a change is made. */
export type User = MessageInitShape<typeof UserSchema>;

/** The fields of a request except its repository. */
type Fields<Init> = Omit<Exclude<Init, Message>, 'repository' | '$typeName' | '$unknown'>;

/** A second repository of the request, whose storage the server must reach. */
type Second = { readonly storageName?: string } | undefined;

/** Settings of a call apart from its request. */
interface ChangeOptions {
  readonly second?: Second;
  readonly clientContext?: ClientContext;
  readonly rules?: ErrorRules;
}

/** Requests GitLab's secret detection for the change. */
const SECRETS_CHECK: ClientContext = { enable_secrets_check: true };

/**
 * Changes for a user, with hooks and access checks. Failed ones throw the errors of Rails
 * (`PreReceiveError`, `CommitError` …); details without one throw a typed error of
 * `gitaly-ts/client/repository`: MergeConflictError, ReferenceChangedError. New commits have the
 * time of this client, unless the request has a `timestamp`: the nodes of a cluster have to make
 * the same commit. @see GitLab: Gitlab::GitalyClient::OperationService
 */
export class OperationService extends RepositoryCalls {
  /**
   * Creates a branch and returns it; `name` is without `refs/heads/`. With `skipCi`, GitLab runs no
   * pipeline for it.
   *
   * @throws {InvalidRef} for a name or a start point that is not valid
   */
  userCreateBranch(
    name: TextOrBytes,
    user: User,
    startPoint: TextOrBytes,
    { skipCi = false }: { skipCi?: boolean } = {},
  ): Promise<Branch | undefined> {
    const { repository } = this;
    const request = { repository, user, branchName: toBytes(name), startPoint: toBytes(startPoint) };
    return this.#change(
      async ({ operation }) => {
        const { branch, preReceiveError } = await operation.userCreateBranch(request);
        requireAccepted(preReceiveError);
        return branch;
      },
      { ...INVALID_REF, ...(skipCi && { clientContext: { 'skip-ci': true } }) },
    );
  }

  /** Moves a branch from one commit to another. */
  userUpdateBranch(name: TextOrBytes, user: User, { oldrev, newrev }: Revisions): Promise<void> {
    const { repository } = this;
    const ids = { newrev: toBytes(newrev), oldrev: toBytes(oldrev) };
    return this.#change(async ({ operation }) => {
      const response = await operation.userUpdateBranch({
        repository,
        user,
        branchName: toBytes(name),
        ...ids,
      });
      requireAccepted(response.preReceiveError);
    });
  }

  /**
   * Deletes a branch; with `expectedOldOid`, only if it still points there.
   *
   * @throws {CommandError} for an id that is not valid
   */
  userDeleteBranch(name: TextOrBytes, user: User, expectedOldOid = ''): Promise<void> {
    const request = { repository: this.repository, user, branchName: toBytes(name), expectedOldOid };
    return this.#change(
      async ({ operation }) => {
        requireAccepted((await operation.userDeleteBranch(request)).preReceiveError);
      },
      { rules: { codes: { INVALID_ARGUMENT: commandError } } },
    );
  }

  /**
   * Creates a tag, annotated if it has a message.
   *
   * @throws {TagExistsError}; {InvalidRef} for a name or a target that is not valid
   */
  addTag(
    name: TextOrBytes,
    user: User,
    { target, message = '' }: { target: TextOrBytes; message?: TextOrBytes },
  ): Promise<Tag | undefined> {
    const fields = { tagName: toBytes(name), targetRevision: toBytes(target), message: toBytes(message) };
    const request = { repository: this.repository, user, ...fields, timestamp: timestamp() };
    return this.#change(async ({ operation }) => {
      const response = await operation.userCreateTag(request);
      requireAccepted(response.preReceiveError);
      if (response.exists) throw new TagExistsError(new GitalyError('ALREADY_EXISTS', 'tag already exists'));
      return response.tag;
    }, INVALID_REF);
  }

  /** Deletes a tag. */
  rmTag(name: TextOrBytes, user: User, expectedOldOid = ''): Promise<void> {
    const request = { repository: this.repository, user, tagName: toBytes(name), expectedOldOid };
    return this.#change(async ({ operation }) => {
      requireAccepted((await operation.userDeleteTag(request)).preReceiveError);
    });
  }

  /** Writes a merge to a reference without moving a branch. Returns its id. */
  userMergeToRef(request: Fields<MessageInitShape<typeof UserMergeToRefRequestSchema>>): Promise<string> {
    return this.#change(
      async ({ operation }) =>
        (await operation.userMergeToRef({ ...dated(request), repository: this.repository })).commitId,
    );
  }

  /**
   * Merges a commit into a branch, and returns the id of the merge. `beforeApply` receives the id
   * before the branch moves; if it throws, the branch does not move.
   *
   * @throws {MergeConflictError}; {ReferenceChangedError}, which Rails ignores
   */
  userMergeBranch(header: Fields<MergeHeader>, options: Confirmation = {}): Promise<string> {
    return this.#change((gitaly) =>
      confirmMerge(gitaly, { ...dated(header), repository: this.repository }, options),
    );
  }

  /**
   * Moves a branch forward to a commit. Returns the update; `undefined` if the branch is there.
   *
   * @throws {CommitError} if the branch is not behind the commit; {ReferenceChangedError}, which
   *   Rails ignores
   */
  userFfBranch(
    user: User,
    {
      commitId,
      branch,
      expectedOldOid = '',
    }: { commitId: string; branch: TextOrBytes; expectedOldOid?: string },
  ): Promise<OperationBranchUpdate | undefined> {
    const request = { repository: this.repository, user, commitId, branch: toBytes(branch), expectedOldOid };
    return this.#change(async ({ operation }) => updated(await operation.userFFBranch(request)), {
      rules: { codes: { FAILED_PRECONDITION: (error) => new CommitError(error) } },
    });
  }

  /**
   * Repeats the change of a commit on a branch.
   *
   * @throws {CreateTreeError} `CONFLICT` or `EMPTY`; {CommitError} if the branch has moved
   */
  userCherryPick(
    request: Fields<MessageInitShape<typeof UserCherryPickRequestSchema>>,
  ): Promise<OperationBranchUpdate | undefined> {
    return this.#change(
      async ({ operation }) =>
        updated(await operation.userCherryPick({ ...dated(request), repository: this.repository })),
      { second: request.startRepository, clientContext: SECRETS_CHECK, rules: CHERRY_PICK_RULES },
    );
  }

  /** Undoes the change of a commit on a branch. Throws the errors of `userCherryPick`. */
  userRevert(
    request: Fields<MessageInitShape<typeof UserRevertRequestSchema>>,
  ): Promise<OperationBranchUpdate | undefined> {
    return this.#change(
      async ({ operation }) =>
        updated(await operation.userRevert({ ...dated(request), repository: this.repository })),
      { second: request.startRepository, rules: REVERT_RULES },
    );
  }

  /**
   * Rebases a branch, and returns its new tip. `beforeApply` as in `userMergeBranch`.
   *
   * @throws {GitError} for a conflict
   */
  rebase(
    header: Fields<MessageInitShape<typeof UserRebaseConfirmableRequest_HeaderSchema>>,
    options: Confirmation = {},
  ): Promise<string> {
    return this.#change(
      (gitaly) => confirmRebase(gitaly, { ...dated(header), repository: this.repository }, options),
      { second: header.remoteRepository, clientContext: SECRETS_CHECK, rules: REBASE_RULES },
    );
  }

  /** Rebases commits onto a reference, and writes the result to another. Returns its id. */
  userRebaseToRef(request: Fields<MessageInitShape<typeof UserRebaseToRefRequestSchema>>): Promise<string> {
    return this.#change(
      async ({ operation }) =>
        (await operation.userRebaseToRef({ ...dated(request), repository: this.repository })).commitId,
    );
  }

  /**
   * Joins a range of commits into one, and returns its id.
   *
   * @throws {GitError} for a conflict, or a revision that is not there
   */
  userSquash(request: Fields<MessageInitShape<typeof UserSquashRequestSchema>>): Promise<string> {
    return this.#change(
      async ({ operation }) => {
        const response = await operation.userSquash({ ...dated(request), repository: this.repository });
        if (response.gitError !== '') throw new GitalyError('FAILED_PRECONDITION', response.gitError);
        return response.squashSha;
      },
      { rules: REBASE_RULES },
    );
  }

  /** Sets a submodule to another commit. @throws {CommitError} with a text for the user */
  userUpdateSubmodule(
    request: Fields<MessageInitShape<typeof UserUpdateSubmoduleRequestSchema>>,
  ): Promise<OperationBranchUpdate | undefined> {
    const path = Buffer.from(request.submodule ?? []).toString();
    return this.#change(
      async ({ operation }) =>
        updated(await operation.userUpdateSubmodule({ ...dated(request), repository: this.repository })),
      { rules: submoduleRules(path, request.commitSha ?? '') },
    );
  }

  /**
   * Commits changes of files. Contents may be streams. The server signs the commit if it has a key;
   * `sign: false` prevents that.
   *
   * @throws {IndexError} for a file that cannot be changed so; {CommandError} for an expected id
   *   that is not valid
   */
  userCommitFiles(
    header: Fields<MessageInitShape<typeof UserCommitFilesRequestHeaderSchema>>,
    actions: Iterable<FileAction> | AsyncIterable<FileAction>,
  ): Promise<OperationBranchUpdate | undefined> {
    const request = { sign: true, ...dated(header), repository: this.repository };
    return this.#change((gitaly) => commitFiles(gitaly, request, actions).catch(throwIndexError), {
      second: header.startRepository,
      clientContext: SECRETS_CHECK,
      rules: COMMIT_FILES_RULES,
    });
  }

  /**
   * Applies mails in the format of `git format-patch` to a branch; with `expectedOldOid`, only if
   * the branch points there.
   */
  userCommitPatches(
    user: User,
    branch: TextOrBytes,
    patches: Content,
    { expectedOldOid = '' }: { expectedOldOid?: string } = {},
  ): Promise<OperationBranchUpdate | undefined> {
    const header = { repository: this.repository, user, targetBranch: toBytes(branch), expectedOldOid };
    return this.#change((gitaly) => applyPatch(gitaly, dated(header), patches), {
      clientContext: SECRETS_CHECK,
    });
  }

  async #change<T>(
    work: (gitaly: Connection) => Promise<T>,
    { second, clientContext, rules = {} }: ChangeOptions = {},
  ): Promise<T> {
    const remoteStorage = second?.storageName;
    const scope = {
      ...(remoteStorage !== undefined && { remoteStorage }),
      ...(clientContext !== undefined && { clientContext }),
    };
    try {
      return await this.call('long', work, scope);
    } catch (error) {
      throw operationError(error, rules);
    }
  }
}

const INVALID_REF: ChangeOptions = {
  rules: {
    reasons: { referenceExists: (error) => new TagExistsError(error) },
    codes: { FAILED_PRECONDITION: (error) => new InvalidRef(error) },
  },
};

/** Returns the request with the current time, unless it has one. */
function dated<Request extends object>(request: Request) {
  return { timestamp: timestamp(), ...request };
}

/** Gitaly 15.0 reports a file that cannot be changed so in a field of the response. */
function throwIndexError(error: unknown): never {
  const isOfResponse = error instanceof GitalyError && !(error instanceof CallError);
  throw isOfResponse && error.code === 'FAILED_PRECONDITION' ? new IndexError(error) : error;
}

/** Ids of a branch before and after a change. */
interface Revisions {
  readonly oldrev: TextOrBytes;
  readonly newrev: TextOrBytes;
}

/**
 * Returns the update in the response of most changes. Gitaly 15.0 reports failures in fields of the
 * response.
 */
function updated(response: {
  readonly branchUpdate?: OperationBranchUpdate | undefined;
  readonly preReceiveError: string;
  readonly commitError?: string;
  readonly createTreeError?: string;
  readonly createTreeErrorCode?: number;
}): OperationBranchUpdate | undefined {
  const { preReceiveError, commitError = '', createTreeError = '', createTreeErrorCode = 0 } = response;
  requireAccepted(preReceiveError);
  if (commitError !== '') throw new CommitError(new GitalyError('FAILED_PRECONDITION', commitError));
  if (createTreeError !== '') {
    const errorCode = TREE_ERROR_CODES[createTreeErrorCode] ?? 'NONE';
    throw new CreateTreeError(new GitalyError('FAILED_PRECONDITION', createTreeError), errorCode);
  }
  return response.branchUpdate;
}

/** Names of the numbers of CreateTreeError in responses. */
const TREE_ERROR_CODES = ['NONE', 'EMPTY', 'CONFLICT'] as const;
