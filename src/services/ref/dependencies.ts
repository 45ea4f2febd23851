import type { HandlersOf } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';
import type { RefService } from '#wire/gen/ref_pb';
import type { KnownCommits } from './branches/known-commits.ts';
import type { RememberedLists } from './remembered-lists.ts';

export interface RefDependencies extends VotingDependencies {
  readonly storages: Storages;
  readonly lists: RememberedLists;
  readonly knownCommits: KnownCommits;
  /** Also fills fields that only clients of 15.0 read. */
  readonly fillsOldFields: boolean;
}

export type Handlers = HandlersOf<typeof RefService, RefDependencies>;
