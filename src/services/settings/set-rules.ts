import { invalidArgument } from '#base/gitaly-error';
import { rulesProblem } from '#domain/hooks/push-rules/repository-rules';
import { writeSetting } from '#domain/settings/kept-settings';
import type { HandlerContext } from '#rpc/server/handler';
import type { SetRulesRequest } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** Sets or removes the rules of a repository for pushes. */
export async function setRules(
  { expected, repository: target, rules }: SetRulesRequest,
  context: HandlerContext,
  { storages, voteOf }: SettingsDependencies,
): Promise<Record<string, never>> {
  const repository = storages.open(target);
  const problem = rules.length === 0 ? undefined : await rulesProblem(rules);
  if (problem !== undefined) throw invalidArgument(`rules: ${problem}`);
  await writeSetting(repository, 'rules.json', rules, { expected, vote: voteOf(context) });
  return {};
}
