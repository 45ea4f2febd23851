import { rulesProblem } from '#domain/hooks/push-rules/repository-rules';
import { readSetting } from '#domain/settings/kept-settings';
import { lfsIdsOf } from '#domain/settings/lfs-ids';
import type { ResponseOf } from '#rpc/server/handler';
import type { GetRequest, GetResponseSchema } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** Returns the settings of a repository. */
export async function get(
  request: GetRequest,
  { storages }: SettingsDependencies,
): ResponseOf<typeof GetResponseSchema> {
  const repository = storages.open(request.repository);
  const description = await readSetting(repository, 'description');
  const rules = await readSetting(repository, 'rules.json');
  const problem = rules && (await rulesProblem(rules));
  return {
    ...(description && { description: description.toString() }),
    ...(rules && { rules }),
    lfsIds: await lfsIdsOf(repository),
    ...(problem !== undefined && { rulesProblem: problem }),
  };
}
