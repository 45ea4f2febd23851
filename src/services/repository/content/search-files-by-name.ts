import { invalidArgument, wrap } from '#base/gitaly-error';
import type { GoRegexp } from '#base/go/regexp/go-regexp';
import { lazyModule } from '#base/lazy-module';
import { filesByName } from '#domain/search/files-by-name';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { SearchFilesByNameRequest, SearchFilesByNameResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';
import { requireQuery } from './search-query.ts';

const MAX_FILTER_BYTES = 1000;
/** Few calls have a filter. */
const loadRegexp = lazyModule(() => import('#base/go/regexp/go-regexp'));

/** Lists the files of a revision at or below a path, in one message. */
export async function* searchFilesByName(
  request: SearchFilesByNameRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof SearchFilesByNameResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const query = requireQuery(request);
  const filter = await compileFilter(request.filter);
  const { offset, limit } = request;
  yield { files: await filesByName(repository, { ...query, filter, offset, limit }, context) };
}

/** @throws {GitalyError} INVALID_ARGUMENT `filter did not compile: error parsing regexp: …`. */
async function compileFilter(filter: string): Promise<GoRegexp | undefined> {
  if (Buffer.byteLength(filter) > MAX_FILTER_BYTES) throw invalidArgument('filter exceeds maximum length');
  if (filter === '') return undefined;
  const { GoRegexp } = await loadRegexp();
  try {
    return new GoRegexp(filter);
  } catch (error) {
    throw wrap(error, 'filter did not compile', 'INVALID_ARGUMENT');
  }
}
