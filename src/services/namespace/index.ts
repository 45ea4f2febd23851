import { invalidArgument } from '#base/gitaly-error';
import { type ServedService, serve } from '#rpc/server/handler';
import { Namespace } from '#storage/lifecycle/namespaces';
import type { Storages } from '#storage/storages';
import { NamespaceService } from '#wire/gen/namespace_pb';
import { renameNamespace } from './rename-namespace.ts';

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
