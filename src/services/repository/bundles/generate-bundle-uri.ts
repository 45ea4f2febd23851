import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { GenerateBundleURIRequest, GenerateBundleURIResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Sent by Praefect. */
const VIRTUAL_STORAGE = 'virtual_storage';

/** Stores a bundle of the default branch for clones. */
export async function generateBundleURI(
  request: GenerateBundleURIRequest,
  { headers, signal }: HandlerContext,
  { storages, bundleUris }: RepositoryDependencies,
): Promise<MessageInitShape<typeof GenerateBundleURIResponseSchema>> {
  if (bundleUris === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'no bundle-generation manager available');
  const repository = storages.open(request.repository);
  const storageName = headers.get(VIRTUAL_STORAGE) ?? repository.storageName;
  await bundleUris.generate(repository, { storageName, signal }).catch((error: unknown) => {
    throw wrap(error, 'generate bundle');
  });
  return {};
}
