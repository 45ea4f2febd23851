import type { MessageInitShape } from '@bufbuild/protobuf';
import { contentMatches } from '#domain/search/content-matches';
import type { HandlerContext } from '#rpc/server/handler';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type {
  SearchFilesByContentRequest,
  SearchFilesByContentResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';
import { encodeMatches } from './encode-matches.ts';
import { requireQuery } from './search-query.ts';

/** Searches the files of a revision. The data of a match is sent in parts, followed by its end. */
export async function* searchFilesByContent(
  request: SearchFilesByContentRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): AsyncGenerator<MessageInitShape<typeof SearchFilesByContentResponseSchema>> {
  const repository = deps.storages.open(request.repository);
  const query = requireQuery(request);
  const { signal, log } = context;
  for await (const parts of contentMatches(repository, query, { partBytes: MAX_CHUNK_BYTES, signal, log }))
    yield encodeMatches(parts);
}
