import { invalidArgument } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import type { ResponseOf } from '#rpc/server/handler';
import { Namespace } from '#storage/lifecycle/namespaces';
import type { Storages } from '#storage/storages';
import type { RenameNamespaceRequest, RenameNamespaceResponseSchema } from '#wire/gen/namespace_pb';

/** Renames a namespace with its repositories. The new one must not exist. */
export async function renameNamespace(
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
