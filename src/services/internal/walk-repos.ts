import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { walkRepositories } from '#storage/walk-repositories';
import type { WalkReposRequest, WalkReposResponseSchema } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { storageNamed } from './storage-named.ts';

/** Yields the repositories of a storage, one a message, with the last change of their directory. */
export async function* walkRepos(
  { storageName }: WalkReposRequest,
  { signal }: HandlerContext,
  { storages }: InternalDependencies,
): ResponsesOf<typeof WalkReposResponseSchema> {
  for await (const found of walkRepositories(storageNamed(storages, storageName, 'looking up storage'), {
    signal,
  }))
    yield { relativePath: found.relativePath, modificationTime: timestampFromDate(found.modifiedAt) };
}
