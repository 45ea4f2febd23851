import type { MessageShape } from '@bufbuild/protobuf';
import { MATCH_END, type MatchPart } from '#domain/search/content-matches';
import { readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { SearchFilesByContentResponseSchema } from '#wire/gen/repository_pb';

const FIELDS = fieldNumbers(SearchFilesByContentResponseSchema, {
  matchData: 'bytes',
  endOfMatch: 'number',
});

const END = encodeWith((writer) => writer.number(FIELDS.endOfMatch, 1));

/**
 * Returns one message that represents a message per part. A search finds thousands of short
 * matches, and to send a message costs more than to encode one.
 */
export function encodeMatches(
  parts: readonly MatchPart[],
): MessageShape<typeof SearchFilesByContentResponseSchema> {
  const messages = parts.map((part) =>
    part === MATCH_END ? END : encodeWith((writer) => writer.bytes(FIELDS.matchData, part)),
  );
  return readyMessage(SearchFilesByContentResponseSchema, readyResponses(messages));
}
