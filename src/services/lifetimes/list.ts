import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { readLifetimes } from '#domain/lifetimes/lifetime-file';
import type { ResponseOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { ListRequest, ListResponseSchema } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';

/** Returns the ends of a repository and its references. */
export async function list(
  target: ListRequest,
  { storages }: { readonly storages: Storages },
): ResponseOf<typeof ListResponseSchema> {
  const { repositoryMs, referencesMs } = await readLifetimes(storages.open(target).path);
  const ofRepository = repositoryMs === undefined ? [] : [{ expiresAt: timestampFromMs(repositoryMs) }];
  const ofReferences = [...referencesMs]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, ms]) => ({ reference: Buffer.from(name, 'latin1'), expiresAt: timestampFromMs(ms) }));
  return { lifetimes: [...ofRepository, ...ofReferences] };
}
