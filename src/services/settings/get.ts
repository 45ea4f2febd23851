import type { MessageInitShape } from '@bufbuild/protobuf';
import { rulesProblem } from '#domain/hooks/push-rules/repository-rules';
import { readSetting } from '#domain/settings/kept-settings';
import type { GetRequest, GetResponseSchema } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** Returns the description and the rules of a repository. */
export async function get(
  { repository: target }: GetRequest,
  { storages }: SettingsDependencies,
): Promise<MessageInitShape<typeof GetResponseSchema>> {
  const repository = storages.open(target);
  const description = await readSetting(repository, 'description');
  const rules = await readSetting(repository, 'rules.json');
  const problem = rules && (await rulesProblem(rules));
  return {
    ...(description && { description: description.toString() }),
    ...(rules && { rules }),
    ...(problem !== undefined && { rulesProblem: problem }),
  };
}
