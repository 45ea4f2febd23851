import type { BundleUris } from '#domain/bundle/bundle-uris';
import type { CommitSigning } from '#domain/commit/commit-signing';
import type { HookManager } from '#domain/hooks/hook-manager';
import type { HooksDirectories } from '#domain/hooks/hooks-directories';
import type { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import type { SigningKeys } from '#domain/signing/signing-keys';
import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import type { Voter } from '#domain/transactions/voter';
import type { HandlerContext } from '#rpc/server/handler';
import type { Vote } from '#storage/lifecycle/voter';
import type { Foundation } from '../foundation.ts';
import type { ServerRepositories } from '../repositories.ts';
import type { Buckets } from './buckets.ts';

/** Domain operations that several services share. */
export interface SharedOperations {
  readonly hooks: HookManager;
  readonly directories: HooksDirectories;
  readonly onHookError: (error: unknown) => void;
  readonly voter: Voter;
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  readonly transactionHooks: (context: HandlerContext) => TransactionHooks | undefined;
  readonly remotes: RemoteRepositories;
  readonly signingKeys: SigningKeys | undefined;
  readonly commitSigning: CommitSigning;
  readonly buckets: Buckets;
  readonly bundleUris: BundleUris | undefined;
  /** Fills fields that clients of 15.0 read and later ones do not. */
  readonly fillsOldFields: boolean;
}

/** All that the groups of services are built from. */
export interface ServiceFoundation extends Foundation, ServerRepositories, SharedOperations {}
