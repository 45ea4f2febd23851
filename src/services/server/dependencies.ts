import type { SigningKeys } from '#domain/signing/signing-keys';
import type { Storages } from '#storage/storages';

export interface ServerDependencies {
  readonly storages: Storages;
  /** The Gitaly release that this server is compatible with, without a leading `v`. */
  readonly serverVersion: string;
  /** The keys that commits are signed with, if there are any. */
  readonly signingKeys: SigningKeys | undefined;
}
