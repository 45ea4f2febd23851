import { GitalyError } from '#base/gitaly-error';
import { readSetting, writeSetting } from '#domain/settings/kept-settings';
import type { HandlerContext } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { SetLfsIdsRequest, SetLfsIdsResponse } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** A fork of a fork of a fork … has that many sources at most. */
const MAX_IDS = 100;
const ID = /^[\w-]{1,64}$/;

/** Returns the ids of a repository in the store of Git LFS; none if it has no files. */
export async function lfsIds(
  { repository: target }: Pick<SetLfsIdsRequest, 'repository'>,
  storages: Storages,
): Promise<string[]> {
  const ids = await readSetting(storages.open(target), 'lfs-ids');
  return ids === undefined ? [] : ids.toString().split('\n').filter(isId);
}

/** Sets the ids of a repository in the store of Git LFS, unless it has some. */
export async function setLfsIds(
  request: SetLfsIdsRequest,
  context: HandlerContext,
  { storages, voteOf }: SettingsDependencies,
): Promise<Pick<SetLfsIdsResponse, 'ids'>> {
  const repository = storages.open(request.repository);
  const { ids } = request;
  if (ids.length === 0 || ids.length > MAX_IDS || !ids.every(isId))
    throw new GitalyError('INVALID_ARGUMENT', `ids: not 1 to ${MAX_IDS} names of letters and digits`);
  const known = await lfsIds(request, storages);
  if (known.length > 0) return { ids: known };
  await writeSetting(repository, 'lfs-ids', Buffer.from(`${ids.join('\n')}\n`), voteOf(context));
  return { ids: await lfsIds(request, storages) };
}

function isId(text: string): boolean {
  return ID.test(text);
}
