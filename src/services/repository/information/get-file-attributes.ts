import { invalidArgument, wrap } from '#base/gitaly-error';
import { fileAttributes } from '#domain/attributes/file-attributes';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { GetFileAttributesRequest, GetFileAttributesResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Returns the attributes that `.gitattributes` of a revision give to paths. */
export async function getFileAttributes(
  request: GetFileAttributesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof GetFileAttributesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const { paths, attributes: names } = request;
  const revision = Buffer.from(request.revision);
  if (revision.length === 0) throw invalidArgument('revision is required');
  if (paths.length === 0) throw invalidArgument('file paths are required');
  if (names.length === 0) throw invalidArgument('attributes are required');

  try {
    const found = await fileAttributes(repository, { revision, paths, names }, context.signal);
    return { attributeInfos: found.map(({ path, name, value }) => ({ path, attribute: name, value })) };
  } catch (error) {
    throw wrap(error, 'check attr');
  }
}
