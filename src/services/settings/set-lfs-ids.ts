import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { readSetting, writeSetting } from '#domain/settings/kept-settings';
import { isLfsId, lfsIdsIn, lfsIdsOf } from '#domain/settings/lfs-ids';
import type { HandlerContext } from '#rpc/server/handler';
import type { SetLfsIdsRequest, SetLfsIdsResponse } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** A fork of a fork of a fork … has that many sources at most. */
const MAX_IDS = 100;
const NONE = Buffer.alloc(0);
const NO_ID = 'custom_hooks/gitaly-ts/lfs-ids of the repository has no id: correct it, or remove it';

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
  const expected = (await readSetting(repository, 'lfs-ids')) ?? NONE;
  const known = lfsIdsIn(expected);
  if (known.length > 0) return { ids: known };
  // Files may be in the store under what somebody has changed by hand.
  if (expected.toString().trim() !== '') throw new GitalyError('FAILED_PRECONDITION', NO_ID);
  const content = Buffer.from(`${ids.join('\n')}\n`);
  await writeSetting(repository, 'lfs-ids', content, { expected, vote: voteOf(context) });
  return { ids: await lfsIdsOf(repository) };
}
