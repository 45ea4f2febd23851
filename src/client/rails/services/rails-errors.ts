import { GitalyError } from '#base/gitaly-error';
import { typedError } from '#client/repository/errors';

/**
 * An error under the name that GitLab's Rails raises. `cause` is the error of the call, or the
 * typed one of `gitaly-ts/client/repository`, which has the paths of conflicts and files.
 */
class RailsError extends GitalyError {
  constructor(error: GitalyError, message: string = error.message) {
    super(error.code, message, {
      cause: typedError(error),
      details: error.details,
      metadata: error.metadata,
    });
  }
}

/** The server refused an argument. @see Ruby: ArgumentError */
export class ArgumentError extends RailsError {
  override readonly name: string = 'ArgumentError';
}

/** @see GitLab: Gitlab::Git::CommandError */
export class CommandError extends RailsError {
  override readonly name: string = 'CommandError';
}

/** A change could not be made: a branch has moved, or a submodule does not exist. */
export class CommitError extends RailsError {
  override readonly name: string = 'CommitError';
}

/** A cherry-pick or revert that makes no commit. */
export class CreateTreeError extends RailsError {
  override readonly name: string = 'CreateTreeError';
  /** `EMPTY`: the branch has the change already. */
  readonly errorCode: 'CONFLICT' | 'EMPTY' | 'NONE';

  constructor(error: GitalyError, errorCode: CreateTreeError['errorCode']) {
    super(error, errorCode);
    this.errorCode = errorCode;
  }
}

/** A rebase or squash failed. The message is that of the server. */
export class GitError extends RailsError {
  override readonly name: string = 'GitError';
}

/** A path cannot be changed or listed as requested. The message may be shown to users. */
export class IndexError extends RailsError {
  override readonly name: string = 'IndexError';
}

/** A name or a start point is not a valid reference. */
export class InvalidRef extends RailsError {
  override readonly name: string = 'InvalidRef';
}

/** A name fits several references. */
export class AmbiguousRef extends RailsError {
  override readonly name: string = 'AmbiguousRef';
}

/** Names of references are malformed; the message lists them. */
export class InvalidRefFormatError extends RailsError {
  override readonly name: string = 'InvalidRefFormatError';
}

/** Another process changes the references. Try again. */
export class ReferencesLockedError extends RailsError {
  override readonly name: string = 'ReferencesLockedError';
}

/** A reference is not at the expected object. */
export class ReferenceStateMismatchError extends RailsError {
  override readonly name: string = 'ReferenceStateMismatchError';
}

/** The tag exists already. */
export class TagExistsError extends RailsError {
  override readonly name: string = 'TagExistsError';
}

/** The repository is damaged. @see GitLab: Gitlab::Git::Repository::InvalidRepository */
export class InvalidRepository extends RailsError {
  override readonly name: string = 'InvalidRepository';
}

/** A resolution does not fit the conflicts. The message shows which. */
export class ResolutionError extends RailsError {
  override readonly name: string = 'ResolutionError';
}
