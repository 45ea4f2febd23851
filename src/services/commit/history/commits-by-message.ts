import { invalidArgument } from '#base/gitaly-error';
import { flag, type GitOption, joined } from '#git/command/git-command';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import { loggedCommits } from '#git/history/log';
import { readCommits } from '#git/history/read-commits';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision } from '#services/convert/request/revision';
import { type CommitsByMessageRequest, CommitsByMessageResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';

/**
 * Lists the commits whose message matches a regular expression. An unknown revision gives an empty
 * response.
 */
export async function* commitsByMessage(
  request: CommitsByMessageRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponsesOf<typeof CommitsByMessageResponseSchema> {
  const repository = deps.storages.open(request.repository);
  let revision = requireRevision(request.revision, { allowEmpty: true });
  if (request.query === '') throw invalidArgument('empty Query');

  const { signal } = context;
  if (revision.length === 0) revision = (await repository.refs.defaultBranch({ signal })) ?? revision;
  const query = {
    options: optionsOf(request),
    revisions: [revision],
    paths: request.path.length === 0 ? [] : [request.path],
    literalPathspecs: request.globalOptions?.literalPathspecs,
  };
  const oids = ignoringGitFailure(loggedCommits(repository, query, { signal }), context.log);
  const commits = readCommits(repository.objects, oids, { signal, mailmap: usesMailmap(context) });
  for await (const chunk of encodeCommits(commits))
    yield commitsResponse(CommitsByMessageResponseSchema, chunk);
}

function optionsOf({ query, offset, limit }: CommitsByMessageRequest): GitOption[] {
  const options = [joined('--grep', query), flag('--regexp-ignore-case')];
  if (offset > 0) options.push(joined('--skip', offset));
  if (limit > 0) options.push(joined('--max-count', limit));
  return options;
}
