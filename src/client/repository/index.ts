/**
 * Repositories with text and plain objects: `import { Repository } from
 * 'gitaly-ts/client/repository'`.
 */

export type { CommitOptions, MergeOptions, PickOptions } from './changes.ts';
export type { DiffOptions, FileDiff } from './comparisons.ts';
export type { FileEntry, FilesOptions } from './contents.ts';
export {
  AccessDeniedError,
  FileChangeError,
  HookRejectedError,
  MergeConflictError,
  ReferenceChangedError,
  ReferenceExistsError,
} from './errors.ts';
export type { ForkOptions } from './fork.ts';
export type { LogOptions } from './history.ts';
export type { ExpireOptions } from './lifetime.ts';
export type { CreateOptions, DeleteBranchOptions, TagOptions } from './options.ts';
export { Repository, type RepositoryOptions } from './repository.ts';
export type { SetRulesOptions } from './settings.ts';
export type { Branch, Commit, Signature, Tag, TextOrBytes } from './values.ts';
