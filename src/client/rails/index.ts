/**
 * The client for Rails-like applications: `import { GitalyClient } from 'gitaly-ts/client/rails'`.
 */

export type { ClientContext } from './client-context.ts';
export type { FeatureFlags, FlagActors } from './feature-flags.ts';
export { type CallScope, GitalyClient, type GitalyClientConfig } from './gitaly-client.ts';
export type { CallDetail, RequestContext } from './request-store.ts';
export type { StorageConfig, StoragesConfig } from './storages.ts';
export { DEFAULT_TIMEOUTS, type Timeouts } from './timeouts.ts';
export { TooManyInvocationsError } from './too-many-invocations-error.ts';
