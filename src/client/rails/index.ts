/**
 * The client for Rails-like applications: `import { GitalyClient } from 'gitaly-ts/client/rails'`.
 */

export type { TextOrBytes } from '../repository/values.ts';
export { assertGitalyCalls, assertNoNPlus1, type CallLimits, type RequestRunner } from './assert-calls.ts';
export type { CallScope } from './call-scope.ts';
export type { ClientContext } from './client-context.ts';
export type { FeatureFlags, FlagActors } from './feature-flags.ts';
export { GitalyClient, type GitalyClientConfig, type RequestOptions } from './gitaly-client.ts';
export type { CallDetail, RequestContext } from './request-store.ts';
export { AnalysisService, type ChangedFile } from './services/analysis-service.ts';
export { type Blob, type BlobPlace, BlobService } from './services/blob-service.ts';
export { CleanupService } from './services/cleanup-service.ts';
export type {
  CountOptions,
  FindCommitsOptions,
  ListCommitsOptions,
  TreeEntriesOptions,
} from './services/commit-options.ts';
export { CommitService, type TreeFile } from './services/commit-service.ts';
export { ConflictsService } from './services/conflicts-service.ts';
export {
  type ChangedPathsOptions,
  type ChangedPathsPlace,
  type CommitDiffOptions,
  type CommitWithParents,
  type DiffBlobsOptions,
  DiffService,
} from './services/diff-service.ts';
export { ObjectPoolService } from './services/object-pool-service.ts';
export { OperationService } from './services/operation-service.ts';
export { PraefectInfoService } from './services/praefect-info-service.ts';
export { PreReceiveError } from './services/pre-receive-error.ts';
export {
  AmbiguousRef,
  ArgumentError,
  CommandError,
  CommitError,
  CreateTreeError,
  GitError,
  IndexError,
  InvalidRef,
  InvalidRefFormatError,
  InvalidRepository,
  ReferenceStateMismatchError,
  ReferencesLockedError,
  ResolutionError,
  TagExistsError,
} from './services/rails-errors.ts';
export type { ListRefsOptions, LocalBranchesOptions, TagsOptions } from './services/ref-options.ts';
export { type ReferenceChange, RefService } from './services/ref-service.ts';
export { RemoteService } from './services/remote-service.ts';
export { RepositoryService } from './services/repository-service.ts';
export { HealthCheckService, ServerService } from './services/server-service.ts';
export type { Items, RepositoryInit, StorageCaller } from './services/storage-calls.ts';
export type { StorageConfig, StoragesConfig } from './storages.ts';
export { DEFAULT_TIMEOUTS, type Timeouts } from './timeouts.ts';
export { TooManyInvocationsError } from './too-many-invocations-error.ts';
