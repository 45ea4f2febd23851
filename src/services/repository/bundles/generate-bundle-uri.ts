import { GitalyError, wrapped } from '#base/gitaly-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { bundleStorageOf } from '#services/convert/request/bundle-uri';
import type { GenerateBundleURIRequest, GenerateBundleURIResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Stores a bundle of the default branch for clones. */
export async function generateBundleURI(
  request: GenerateBundleURIRequest,
  context: HandlerContext,
  { storages, bundleUris }: RepositoryDependencies,
): ResponseOf<typeof GenerateBundleURIResponseSchema> {
  if (bundleUris === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'no bundle-generation manager available');
  const repository = storages.open(request.repository);
  const options = { storageName: bundleStorageOf(repository, context), signal: context.signal };
  await bundleUris.generate(repository, options).catch(wrapped('generate bundle'));
  return {};
}
