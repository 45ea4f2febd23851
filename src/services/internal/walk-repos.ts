import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { walkRepositories } from '#storage/walk-repositories';
import type { Handlers } from './dependencies.ts';
import { storageNamed } from './storage-named.ts';

/** Yields the repositories of a storage, one a message, with the last change of their directory. */
export const walkRepos: Handlers['walkRepos'] = async function* ({ storageName }, { signal }, { storages }) {
  for await (const found of walkRepositories(storageNamed(storages, storageName, 'looking up storage'), {
    signal,
  }))
    yield { relativePath: found.relativePath, modificationTime: timestampFromDate(found.modifiedAt) };
};
