import type { SigningKeys } from '#domain/signing/signing-keys';
import type { Storages } from '#storage/storages';

export interface ServerDependencies {
  readonly storages: Storages;
  /** Version that clients receive, without a leading `v`. */
  readonly serverVersion: string;
  /** The keys that commits are signed with, if there are any. */
  readonly signingKeys: SigningKeys | undefined;
}
