import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import {
  AccessDeniedError,
  FileChangeError,
  HookRejectedError,
  ReferenceChangedError,
  typedError,
} from '#client/repository/errors';
import { PathError_ErrorType } from '#wire/gen/errors_pb';
import { UserUpdateSubmoduleErrorSchema } from '#wire/gen/operations_pb';
import { PreReceiveError } from './pre-receive-error.ts';
import { CommandError, CommitError, CreateTreeError, GitError, IndexError } from './rails-errors.ts';
import { type ErrorRules, type Translation, translatedError } from './translate-errors.ts';

/** Texts of Rails, which it shows to users. @see GitLab: OperationService#index_error_message */
const INDEX_TEXTS: { readonly [reason in FileChangeError['reason']]?: string } = {
  'empty path': 'You must provide a file path',
  'directory exists': 'A directory with this name already exists',
  outside: 'Path cannot include directory traversal',
  'file exists': 'A file with this name already exists',
  'no file': "A file with this name doesn't exist",
};

const diverged: Translation = (error) => new CommitError(error, 'branch diverged');
const conflict: Translation = (error) => new CreateTreeError(error, 'CONFLICT');
const empty: Translation = (error) => new CreateTreeError(error, 'EMPTY');
const gitError: Translation = (error) => new GitError(error);
export const commandError: Translation = (error) => new CommandError(error);

/** Rules of each call. The error of Rails for the detail `mergeConflict` depends on the call. */
export const CHERRY_PICK_RULES: ErrorRules = {
  reasons: { cherryPickConflict: conflict, changesAlreadyApplied: empty, targetBranchDiverged: diverged },
  codes: { INVALID_ARGUMENT: commandError },
};
export const REVERT_RULES: ErrorRules = {
  reasons: { mergeConflict: conflict, changesAlreadyApplied: empty, notAncestor: diverged },
};
export const REBASE_RULES: ErrorRules = { reasons: { rebaseConflict: gitError, resolveRevision: gitError } };

/** Texts of errors without a detail, which Rails compares as well. */
export const COMMIT_FILES_RULES: ErrorRules = {
  reasons: { indexUpdate: (error) => new IndexError(error, indexText(typedError(error))) },
  codes: {
    INVALID_ARGUMENT: (error) => {
      if (error.message.startsWith('invalid path')) return new IndexError(error);
      return error.message.includes('expected old object ID') ? new CommandError(error) : error;
    },
  },
};

/** Rules for a submodule's change to `commitSha`. */
export function submoduleRules(submodule: string, commitSha: string): ErrorRules {
  return {
    reasons: {
      referenceUpdate: (error) => {
        const typed = typedError(error);
        const name = typed instanceof ReferenceChangedError ? typed.reference : 'the branch';
        return new CommitError(error, `Could not update ${name}. Please refresh and try again.`);
      },
      pathError: (error) => {
        const detail = error.detail(UserUpdateSubmoduleErrorSchema)?.error;
        const type = detail?.case === 'pathError' ? detail.value.errorType : undefined;
        if (type === PathError_ErrorType.INVALID_PATH)
          return new CommitError(error, 'Invalid submodule path');
        if (type !== PathError_ErrorType.PATH_EXISTS) return error;
        return new CommitError(error, `The submodule ${submodule} is already at ${commitSha}`);
      },
    },
  };
}

/** Returns the error for a failed change: that of Rails, else the typed one. */
export function operationError(error: unknown, rules: ErrorRules): unknown {
  // The text of a hook in an OK response of 15.0.
  if (!(error instanceof CallError) && error instanceof GitalyError && error.code === 'PERMISSION_DENIED')
    return new PreReceiveError(error, error.message);
  const railsError = translatedError(error, rules);
  if (railsError !== error) return railsError;
  const typed = typedError(error);
  if (typed instanceof AccessDeniedError) return new PreReceiveError(typed, '', typed.message);
  if (!(typed instanceof HookRejectedError)) return typed;
  return new PreReceiveError(typed, typed.stderr.trim() === '' ? typed.stdout : typed.stderr);
}

function indexText(error: unknown): string {
  if (!(error instanceof FileChangeError)) return 'Unknown error performing git operation';
  return INDEX_TEXTS[error.reason] ?? `invalid path: '${error.path}'`;
}
