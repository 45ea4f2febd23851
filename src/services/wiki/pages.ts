import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument } from '#base/gitaly-error';
import type { SignalOption } from '#domain/revisions/commit-id-of';
import {
  findPage,
  findVersion,
  listPages,
  type PageOrder,
  type WikiPage,
  type WikiVersion,
} from '#domain/wiki/wiki-pages';
import type { HandlerContext } from '#rpc/server/handler';
import { requireRevision } from '#services/convert/request/revision';
import { takeBytes } from '#services/convert/request/take-bytes';
import { toCommitMessage } from '#services/convert/response/commit';
import type { Repository } from '#storage/repository';
import {
  WikiGetAllPagesRequest_SortBy as SortBy,
  type WikiGetAllPagesRequest,
  type WikiListPagesRequest,
  type WikiPageSchema,
} from '#wire/gen/wiki_pb';
import type { Handlers } from './dependencies.ts';

/** Sends all pages, each as its description, its text, and a message that ends it. */
export const wikiGetAllPages: Handlers['wikiGetAllPages'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  for await (const [page, version] of requestedPages(repository, request, context)) {
    yield { page: toPageMessage(page, version) };
    for await (const text of textMessages(repository, page, context)) yield { page: text };
    yield { endOfPage: true };
  }
};

/** Sends the descriptions of all pages. As in Gitaly, `offset` has no effect. */
export const wikiListPages: Handlers['wikiListPages'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  for await (const [page, version] of requestedPages(repository, request, context))
    yield { page: toPageMessage(page, version) };
};

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
export const wikiFindPage: Handlers['wikiFindPage'] = async function* (request, context, deps) {
  const revision = requireRevision(request.revision, { allowEmpty: true, prefix: 'WikiFindPage: ' });
  if (request.title.length === 0) throw invalidArgument('WikiFindPage: empty Title');
  const repository = deps.storages.open(request.repository);

  const version = await findVersion(repository, revision, context);
  const page = version && (await findPage(repository, version, request, context));
  if (version === undefined || page === undefined) return yield {};
  yield { page: toPageMessage(page, version) };
  if (request.skipContent) return;
  for await (const text of textMessages(repository, page, context)) yield { page: text };
};

type PageMessage = MessageInitShape<typeof WikiPageSchema>;

/** Returns the message that describes a page, without its text. */
function toPageMessage(
  { path, format, name, urlPath }: WikiPage,
  { commit, isHistorical }: WikiVersion,
): PageMessage {
  return {
    version: { commit: toCommitMessage(commit), format },
    format,
    title: name,
    urlPath: urlPath.toString(),
    path,
    name,
    historical: isHistorical,
  };
}

/** Yields the messages with the text of a page: unchanged bytes, none for an empty page. */
async function* textMessages(
  { objects }: Repository,
  { oid }: WikiPage,
  options: SignalOption,
): AsyncGenerator<PageMessage> {
  const blob = await objects.openObject(oid, options);
  if (blob === undefined) throw new Error('the text of a page is missing');
  for await (const rawData of takeBytes(blob.data === undefined ? blob.stream : [blob.data], blob.size))
    yield { rawData };
}
