import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';

export interface CleanupDependencies extends VotingDependencies {
  readonly storages: Storages;
}
