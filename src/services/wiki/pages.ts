import { invalidArgument } from '#base/gitaly-error';
import {
  findPage,
  findVersion,
  listPages,
  type PageOrder,
  type WikiPage,
  type WikiVersion,
} from '#domain/wiki/wiki-pages';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { requireRevision } from '#services/convert/request/revision';
import type { Repository } from '#storage/repository';
import {
  WikiGetAllPagesRequest_SortBy as SortBy,
  type WikiFindPageRequest,
  type WikiFindPageResponseSchema,
  type WikiGetAllPagesRequest,
  type WikiGetAllPagesResponseSchema,
  type WikiListPagesRequest,
  type WikiListPagesResponseSchema,
} from '#wire/gen/wiki_pb';
import type { WikiDependencies } from './dependencies.ts';
import { textMessages, toPageMessage } from './page-message.ts';

/** Sends all pages, each as its description, its text, and a message that ends it. */
export async function* wikiGetAllPages(
  request: WikiGetAllPagesRequest,
  context: HandlerContext,
  deps: WikiDependencies,
): ResponsesOf<typeof WikiGetAllPagesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  for await (const [page, version] of requestedPages(repository, request, context)) {
    yield { page: toPageMessage(page, version) };
    for await (const text of textMessages(repository, page, context)) yield { page: text };
    yield { endOfPage: true };
  }
}

/** Sends the descriptions of all pages. As in Gitaly, `offset` has no effect. */
export async function* wikiListPages(
  request: WikiListPagesRequest,
  context: HandlerContext,
  deps: WikiDependencies,
): ResponsesOf<typeof WikiListPagesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  for await (const [page, version] of requestedPages(repository, request, context))
    yield { page: toPageMessage(page, version) };
}

async function* requestedPages(
  repository: Repository,
  request: WikiGetAllPagesRequest | WikiListPagesRequest,
  context: HandlerContext,
): AsyncGenerator<[WikiPage, WikiVersion]> {
  const version = await findVersion(repository, new Uint8Array(0), context);
  if (version === undefined) return;
  const order: PageOrder = {
    // Both requests have the same values.
    by: request.sort === SortBy.CREATED_AT ? 'created' : 'title',
    isReversed: request.directionDesc,
    limit: request.limit,
  };
  for await (const page of listPages(repository, version, order, context)) yield [page, version];
}

/**
 * Sends one page: its description, then its text. A page or revision that does not exist gives one
 * empty message.
 */
export async function* wikiFindPage(
  request: WikiFindPageRequest,
  context: HandlerContext,
  deps: WikiDependencies,
): ResponsesOf<typeof WikiFindPageResponseSchema> {
  const revision = requireRevision(request.revision, { allowEmpty: true, prefix: 'WikiFindPage: ' });
  if (request.title.length === 0) throw invalidArgument('WikiFindPage: empty Title');
  const repository = deps.storages.open(request.repository);

  const version = await findVersion(repository, revision, context);
  const page = version && (await findPage(repository, version, request, context));
  if (version === undefined || page === undefined) return yield {};
  yield { page: toPageMessage(page, version) };
  if (request.skipContent) return;
  for await (const text of textMessages(repository, page, context)) yield { page: text };
}
