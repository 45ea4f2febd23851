import type { Housekeeping } from '#domain/housekeeping/housekeeping';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';

export interface ObjectPoolDependencies extends VotingDependencies {
  readonly storages: Storages;
  readonly housekeeping: Housekeeping;
}
