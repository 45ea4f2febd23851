import type { SearchFilesByContentResponse } from '#wire/gen/repository_pb';
import { collectPieces } from './collect-pieces.ts';

/**
 * Yields the matches of SearchFilesByContent: for each, the lines in the format of `git grep`, with
 * revision, path and line number.
 */
export function searchMatches(
  responses: AsyncIterable<SearchFilesByContentResponse>,
): AsyncGenerator<Buffer, void, undefined> {
  return collectPieces(responses, {
    ends: ({ endOfMatch }) => endOfMatch,
    bytesOf: ({ matchData }) => [matchData],
    whole: (_, match = Buffer.alloc(0)) => match,
  });
}
