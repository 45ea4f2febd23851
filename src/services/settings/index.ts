import type { ServiceImplementation } from '#rpc/server/handler';
import type { SettingsService } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';
import { get } from './get.ts';
import { listLfsFiles } from './list-lfs-files.ts';
import { setDescription } from './set-description.ts';
import { setLfsIds } from './set-lfs-ids.ts';
import { setRules } from './set-rules.ts';

/** Implements the settings of repositories. */
export function settingsService(deps: SettingsDependencies): ServiceImplementation<typeof SettingsService> {
  return {
    get: (request) => get(request, deps),
    setDescription: (request, context) => setDescription(request, context, deps),
    setRules: (request, context) => setRules(request, context, deps),
    listLfsFiles: (request, context) => listLfsFiles(request, context, deps),
    setLfsIds: (request, context) => setLfsIds(request, context, deps),
  };
}
