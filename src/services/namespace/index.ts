import { invalidArgument } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { type ResponseOf, type ServedService, serve } from '#rpc/server/handler';
import { Namespace } from '#storage/lifecycle/namespaces';
import type { Storages } from '#storage/storages';
import {
  NamespaceService,
  type RenameNamespaceRequest,
  type RenameNamespaceResponseSchema,
} from '#wire/gen/namespace_pb';

export interface NamespaceDependencies {
  readonly storages: Storages;
}

/** Directories of repositories. Until 15.0. */
export function namespaceService({ storages }: NamespaceDependencies): ServedService {
  const open = ({ storageName, name }: { storageName: string; name: string }): Namespace => {
    const storage = storages.storage(storageName);
    if (name === '') throw invalidArgument('Name: cannot be empty');
    return new Namespace(storage, name);
  };
  return serve(NamespaceService, {
    addNamespace: async (request) => {
      await open(request).create();
      return {};
    },
    namespaceExists: async (request) => ({ exists: await open(request).exists() }),
    removeNamespace: async (request) => {
      await open(request).remove();
      return {};
    },
    renameNamespace: (request) => renameNamespace(request, storages),
  });
}

/** Renames a namespace with its repositories. The new one must not exist. */
async function renameNamespace(
  { storageName, from, to }: RenameNamespaceRequest,
  storages: Storages,
): ResponseOf<typeof RenameNamespaceResponseSchema> {
  if (from === '' || to === '') throw invalidArgument('from and to cannot be empty');
  const storage = storages.storage(storageName);
  const source = new Namespace(storage, from);
  const target = new Namespace(storage, to);
  if (await target.exists()) throw invalidArgument(`to directory ${to} already exists`);
  try {
    await source.moveTo(target);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw invalidArgument(`from directory ${from} not found`);
    throw error;
  }
  await storages.borrowers.forget(); // it knows the old paths
  return {};
}
