import { GetTreeEntriesErrorSchema } from '#wire/gen/commit_pb';
import { PathError_ErrorType } from '#wire/gen/errors_pb';
import { IndexError } from './rails-errors.ts';
import type { ErrorRules } from './translate-errors.ts';

/** @see GitLab: CommitService#path_error_message */
const PATH_TEXTS: { readonly [type in PathError_ErrorType]?: string } = {
  [PathError_ErrorType.EMPTY_PATH]: 'You must provide a file path',
  [PathError_ErrorType.RELATIVE_PATH_ESCAPES_REPOSITORY]: 'Path cannot include traversal syntax',
  [PathError_ErrorType.ABSOLUTE_PATH]: 'Only relative path is accepted',
  [PathError_ErrorType.LONG_PATH]: 'Path is too long',
};

/** Rules for GetTreeEntries. */
export const TREE_RULES: ErrorRules = {
  reasons: {
    resolveTree: (error) => new IndexError(error),
    path: (error) => {
      const detail = error.detail(GetTreeEntriesErrorSchema)?.error;
      const type = detail?.case === 'path' ? detail.value.errorType : PathError_ErrorType.UNSPECIFIED;
      return new IndexError(error, PATH_TEXTS[type] ?? 'Unknown path error');
    },
  },
};
