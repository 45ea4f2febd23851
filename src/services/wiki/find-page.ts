import { invalidArgument } from '#base/gitaly-error';
import { findPage, findVersion } from '#domain/wiki/wiki-pages';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { requireRevision } from '#services/convert/request/revision';
import type { WikiFindPageRequest, WikiFindPageResponseSchema } from '#wire/gen/wiki_pb';
import type { WikiDependencies } from './dependencies.ts';
import { textMessages, toPageMessage } from './page-message.ts';

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
