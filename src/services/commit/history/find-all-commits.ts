import { flag, type GitOption, joined } from '#git/command/git-command';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import { loggedCommits } from '#git/history/log';
import { readCommits } from '#git/history/read-commits';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision } from '#services/convert/request/revision';
import {
  type FindAllCommitsRequest,
  FindAllCommitsRequest_Order,
  FindAllCommitsResponseSchema,
} from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';

/**
 * Lists the history of a revision, or of all branches. An unknown revision gives an empty response.
 */
export async function* findAllCommits(
  request: FindAllCommitsRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponsesOf<typeof FindAllCommitsResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision, { allowEmpty: true });

  const { signal } = context;
  const options = optionsOf(request);
  // Without branches git starts at HEAD.
  if (revision.length === 0 && (await repository.refs.hasBranches({ signal })))
    options.push(flag('--branches'));
  const query = { options, revisions: revision.length === 0 ? [] : [revision] };
  const oids = ignoringGitFailure(loggedCommits(repository, query, { signal }), context.log);
  const commits = readCommits(repository.objects, oids, { signal, mailmap: usesMailmap(context) });
  for await (const chunk of encodeCommits(commits))
    yield commitsResponse(FindAllCommitsResponseSchema, chunk);
}

function optionsOf({ maxCount, skip, order }: FindAllCommitsRequest): GitOption[] {
  const options: GitOption[] = [];
  if (maxCount > 0) options.push(joined('--max-count', maxCount));
  if (skip > 0) options.push(joined('--skip', skip));
  if (order === FindAllCommitsRequest_Order.DATE) options.push(flag('--date-order'));
  if (order === FindAllCommitsRequest_Order.TOPO) options.push(flag('--topo-order'));
  return options;
}
