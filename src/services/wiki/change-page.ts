import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import type {
  WikiUpdatePageRequest,
  WikiUpdatePageResponseSchema,
  WikiWritePageRequest,
  WikiWritePageResponseSchema,
} from '#wire/gen/wiki_pb';
import { commitChange, requireFields } from './change-request.ts';
import type { WikiDependencies } from './dependencies.ts';

/** Commits a new page to the default branch. A name in use is reported in the response. */
export async function wikiWritePage(
  requests: AsyncIterable<WikiWritePageRequest>,
  context: HandlerContext,
  deps: WikiDependencies,
): ResponseOf<typeof WikiWritePageResponseSchema> {
  const opened = await openRequests(requests);
  const { name: title, format, repository: target } = opened.first;
  const fields = { Name: title, Format: format };
  const details = requireFields('WikiWritePage', fields, opened.first.commitDetails);
  const repository = deps.storages.open(target);

  const content = allBytesOf(opened, (message) => message.content);
  const page = { title, format, content, details, pagePath: undefined };
  return { duplicateError: await commitChange(repository, page, context, deps) };
}

/**
 * Commits a new text of a page, and moves the page to its title. A title in use is reported in the
 * response.
 */
export async function wikiUpdatePage(
  requests: AsyncIterable<WikiUpdatePageRequest>,
  context: HandlerContext,
  deps: WikiDependencies,
): ResponseOf<typeof WikiUpdatePageResponseSchema> {
  const opened = await openRequests(requests);
  const { pagePath, title, format, repository: target } = opened.first;
  const fields = { 'Page Path': pagePath, Title: title, Format: format };
  const details = requireFields('WikiUpdatePage', fields, opened.first.commitDetails);
  const repository = deps.storages.open(target);

  const content = allBytesOf(opened, (message) => message.content);
  const page = { title, format, content, details, pagePath };
  return { error: await commitChange(repository, page, context, deps) };
}
