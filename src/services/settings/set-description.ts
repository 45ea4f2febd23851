import { invalidArgument } from '#base/gitaly-error';
import { writeSetting } from '#domain/settings/kept-settings';
import type { HandlerContext } from '#rpc/server/handler';
import type { SetDescriptionRequest } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

const MAX_CHARACTERS = 1000;
const CONTROL = /\p{Cc}/u;

/** Sets or removes the description of a repository. */
export async function setDescription(
  { description, repository: target }: SetDescriptionRequest,
  context: HandlerContext,
  { storages, voteOf }: SettingsDependencies,
): Promise<Record<string, never>> {
  const repository = storages.open(target);
  if (description.length > MAX_CHARACTERS || CONTROL.test(description))
    throw invalidArgument(`description: not one line of ${MAX_CHARACTERS} characters`);
  await writeSetting(repository, 'description', Buffer.from(description), { vote: voteOf(context) });
  return {};
}
