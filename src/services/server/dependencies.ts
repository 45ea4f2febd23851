import type { SigningKeys } from '#domain/signing/signing-keys';
import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { ServerService } from '#wire/gen/server_pb';

export interface ServerDependencies {
  readonly storages: Storages;
  /** The Gitaly release that this server is compatible with, without a leading `v`. */
  readonly serverVersion: string;
  /** The keys that commits are signed with, if there are any. */
  readonly signingKeys: SigningKeys | undefined;
}

export type Handlers = HandlersOf<typeof ServerService, ServerDependencies>;
