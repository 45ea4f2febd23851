import type { SigningKeys } from '#domain/signing/signing-keys';
import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { CommitService } from '#wire/gen/commit_pb';

export interface CommitDependencies {
  readonly storages: Storages;
  /** Also fills fields that only clients of 15.0 read. */
  readonly fillsOldFields: boolean;
  /** Keys by which the server recognises its own signatures; `undefined` if it does not sign. */
  readonly signingKeys: SigningKeys | undefined;
  /** `gitaly_list_commits_by_oid_request_size`: how many commits a request names. */
  readonly observeListCommitsByOid?: ((commits: number) => void) | undefined;
}

export type Handlers = HandlersOf<typeof CommitService, CommitDependencies>;
