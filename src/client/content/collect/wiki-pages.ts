import type { WikiGetAllPagesResponse, WikiPage } from '#wire/gen/wiki_pb';
import { collectPieces } from './collect-pieces.ts';

/** A page of a wiki (Gitaly 15) with its joined text. */
export type WholeWikiPage = Omit<WikiPage, 'rawData'> & { readonly rawData: Buffer };

/**
 * Yields the pages of WikiGetAllPages. The list ends at an end-of-page without a page before it.
 */
export async function* wikiPages(
  responses: AsyncIterable<WikiGetAllPagesResponse>,
): AsyncGenerator<WholeWikiPage, void, undefined> {
  const pages = collectPieces(responses, {
    ends: ({ endOfPage }) => endOfPage,
    bytesOf: ({ page }) => (page === undefined ? [] : [page.rawData]),
    whole: ({ page }, rawData = Buffer.alloc(0)) => page && { ...page, rawData },
  });
  for await (const page of pages) {
    if (page === undefined) return;
    yield page;
  }
}
