import type { HandlersOf } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';
import type { SettingsService } from '#wire/gen/gitalyts/settings/v1/settings_pb';

export interface SettingsDependencies extends Pick<VotingDependencies, 'voteOf'> {
  readonly storages: Storages;
}

export type Handlers = HandlersOf<typeof SettingsService, SettingsDependencies>;
