import { readConfigFile } from '#domain/settings/read-config-file';
import type { ResponsesOf } from '#rpc/server/handler';
import type { GetConfigRequest, GetConfigResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Size of a message's data. @see Go: io.Copy */
const PIECE_BYTES = 32 * 1024;

/** Streams the config file of a repository. */
export async function* getConfig(
  request: GetConfigRequest,
  deps: RepositoryDependencies,
): ResponsesOf<typeof GetConfigResponseSchema> {
  const repository = deps.storages.open(request.repository);
  for await (const data of readConfigFile(repository, PIECE_BYTES)) yield { data };
}
