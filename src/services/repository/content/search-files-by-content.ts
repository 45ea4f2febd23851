import type { MessageShape } from '@bufbuild/protobuf';
import { contentMatches, MATCH_END, type MatchPart } from '#domain/search/content-matches';
import { readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import {
  type SearchFilesByContentRequest,
  SearchFilesByContentResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';
import { requireQuery } from './search-query.ts';

/** Searches the files of a revision. The data of a match is sent in parts, followed by its end. */
export async function* searchFilesByContent(
  request: SearchFilesByContentRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof SearchFilesByContentResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const query = requireQuery(request);
  const { signal, log } = context;
  for await (const parts of contentMatches(repository, query, { partBytes: MAX_CHUNK_BYTES, signal, log }))
    yield encodeMatches(parts);
}

const FIELDS = fieldNumbers(SearchFilesByContentResponseSchema, {
  matchData: 'bytes',
  endOfMatch: 'number',
});

const END = encodeWith((writer) => writer.number(FIELDS.endOfMatch, 1));

/**
 * Returns one message that represents a message per part. A search finds thousands of short
 * matches, and to send a message costs more than to encode one.
 */
function encodeMatches(parts: readonly MatchPart[]): MessageShape<typeof SearchFilesByContentResponseSchema> {
  const messages = parts.map((part) =>
    part === MATCH_END ? END : encodeWith((writer) => writer.bytes(FIELDS.matchData, part)),
  );
  return readyMessage(SearchFilesByContentResponseSchema, readyResponses(messages));
}
