import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';

export interface SettingsDependencies extends Pick<VotingDependencies, 'voteOf'> {
  readonly storages: Storages;
}
