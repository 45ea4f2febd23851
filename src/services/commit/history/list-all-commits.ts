import { wrap } from '#base/gitaly-error';
import { readCommits } from '#git/history/read-commits';
import { allObjects } from '#git/objects/walk-objects';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { type ListAllCommitsRequest, ListAllCommitsResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';
import { CommitPage } from './commit-page.ts';

/**
 * Lists every commit of the object database, including unreachable ones, in the order in which they
 * are stored.
 */
export async function* listAllCommits(
  request: ListAllCommitsRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponsesOf<typeof ListAllCommitsResponseSchema> {
  const repository = deps.storages.open(request.repository);

  const { signal } = context;
  const all = allObjects(repository, { type: 'commit', signal });
  const page = new CommitPage(request.paginationParams).cut(all);
  const commits = readCommits(repository.objects, page, {
    signal,
    mailmap: usesMailmap(context),
    mayVanish: true,
  });
  try {
    for await (const chunk of encodeCommits(commits))
      yield commitsResponse(ListAllCommitsResponseSchema, chunk);
  } catch (error) {
    throw wrap(error, 'iterating objects');
  }
}
