import { invalidArgument } from '#base/gitaly-error';
import { writeSetting } from '#domain/settings/kept-settings';
import { isLfsId, lfsIdsOf } from '#domain/settings/lfs-ids';
import type { HandlerContext } from '#rpc/server/handler';
import type { SetLfsIdsRequest, SetLfsIdsResponse } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** A fork of a fork of a fork … has that many sources at most. */
const MAX_IDS = 100;
const NONE = Buffer.alloc(0);

/** Sets the ids of a repository in the store of Git LFS, unless it has some. */
export async function setLfsIds(
  request: SetLfsIdsRequest,
  context: HandlerContext,
  { storages, voteOf }: SettingsDependencies,
): Promise<Pick<SetLfsIdsResponse, 'ids'>> {
  const repository = storages.open(request.repository);
  const { ids } = request;
  if (ids.length === 0 || ids.length > MAX_IDS || !ids.every(isLfsId))
    throw invalidArgument(`ids: not 1 to ${MAX_IDS} names of letters and digits`);
  const known = await lfsIdsOf(repository);
  if (known.length > 0) return { ids: known };
  const content = Buffer.from(`${ids.join('\n')}\n`);
  await writeSetting(repository, 'lfs-ids', content, { expected: NONE, vote: voteOf(context) });
  return { ids: await lfsIdsOf(repository) };
}
