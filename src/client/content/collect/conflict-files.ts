import type { ConflictFile, ConflictFileHeader, ListConflictFilesResponse } from '#wire/gen/conflicts_pb';
import { collectPieces } from './collect-pieces.ts';
import { eachItem } from './each-item.ts';

/**
 * A file with merge conflicts. `content` has the conflict markers; it is empty if the request
 * skipped the content.
 */
export type WholeConflictFile = ConflictFileHeader & { readonly content: Buffer };

/** Yields the files of ListConflictFiles. */
export async function* conflictFiles(
  responses: AsyncIterable<ListConflictFilesResponse>,
): AsyncGenerator<WholeConflictFile, void, undefined> {
  const files = collectPieces(
    eachItem(responses, (response) => response.files),
    {
      begins: ({ conflictFilePayload }) => conflictFilePayload.case === 'header',
      bytesOf: ({ conflictFilePayload: { case: kind, value } }) => (kind === 'content' ? [value] : []),
      whole: (first, content = Buffer.alloc(0)) => ({ first, content }),
    },
  );
  for await (const { first, content } of files) {
    const header = headerOf(first);
    if (header !== undefined) yield { ...header, content };
  }
}

function headerOf({
  conflictFilePayload: { case: kind, value },
}: ConflictFile): ConflictFileHeader | undefined {
  return kind === 'header' ? value : undefined;
}
