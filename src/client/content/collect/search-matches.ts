import type { SearchFilesByContentResponse } from '#wire/gen/repository_pb';
import { collectPieces } from './collect-pieces.ts';

/** The matches of SearchFilesByContent: for each, the lines as `git grep` prints them, with their revision, path and line number. */
export function searchMatches(responses: AsyncIterable<SearchFilesByContentResponse>): AsyncGenerator<Buffer, void, undefined> {
  return collectPieces(responses, {
    ends: ({ endOfMatch }) => endOfMatch,
    bytesOf: ({ matchData }) => [matchData],
    whole: (_, match = Buffer.alloc(0)) => match,
  });
}
