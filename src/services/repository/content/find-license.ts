import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FindLicenseRequest, FindLicenseResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Returns the license of a project, from the files in the top directory of HEAD. */
export async function findLicense(
  request: FindLicenseRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FindLicenseResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const found = await deps.licenses.get(repository, context.signal);
  if (found === undefined) return {};
  const { shortName, name, url, path, nickname } = found;
  return {
    licenseShortName: shortName,
    licenseName: name,
    licenseUrl: url,
    licensePath: path,
    licenseNickname: nickname,
  };
}
