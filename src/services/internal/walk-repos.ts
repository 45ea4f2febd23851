import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { wrap } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { walkRepositories } from '#storage/walk-repositories';
import type { WalkReposRequest, WalkReposResponseSchema } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';

/** Yields the repositories of a storage, one a message, with the last change of their directory. */
export async function* walkRepos(
  { storageName }: WalkReposRequest,
  { signal }: HandlerContext,
  { storages }: InternalDependencies,
): AsyncGenerator<MessageInitShape<typeof WalkReposResponseSchema>> {
  for await (const found of walkRepositories(storageNamed(storages, storageName), { signal }))
    yield { relativePath: found.relativePath, modificationTime: timestampFromDate(found.modifiedAt) };
}

function storageNamed(storages: Storages, name: string): Storage {
  try {
    return storages.storage(name);
  } catch (error) {
    throw wrap(error, 'looking up storage');
  }
}
