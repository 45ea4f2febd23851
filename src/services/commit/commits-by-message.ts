import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { flag, type GitOption, joined } from '#git/command/git-command';
import { loggedCommits } from '#git/history/log';
import { readCommits } from '#git/history/read-commits';
import type { HandlerContext } from '#rpc/server/handler';
import { type CommitsByMessageRequest, CommitsByMessageResponseSchema } from '#wire/gen/commit_pb';
import { usesMailmap } from '../convert/feature-flags.ts';
import { requireRevision } from '../convert/revision.ts';
import { ignoringGitFailure } from '../convert/until-git-fails.ts';
import { commitMessages, commitsResponse, encodeCommits } from './encode-commits.ts';
import type { CommitRooms } from './index.ts';

/** Lists the commits whose message matches a regular expression. A revision that git does not know is an empty answer. */
export async function* commitsByMessage(
  request: CommitsByMessageRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof CommitsByMessageResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  let revision = requireRevision(request.revision, { allowEmpty: true });
  if (request.query === '') throw new GitalyError('INVALID_ARGUMENT', 'empty Query');

  const { signal } = context;
  if (revision.length === 0) revision = (await repository.refs.defaultBranch({ signal })) ?? revision;
  const query = {
    options: optionsOf(request),
    revisions: [revision],
    paths: request.path.length === 0 ? [] : [request.path],
    literalPathspecs: request.globalOptions?.literalPathspecs,
  };
  const oids = ignoringGitFailure(loggedCommits(repository.git, repository, query, { signal }), context.log);
  const commits = readCommits(repository.objects, oids, { signal, mailmap: usesMailmap(context) });
  for await (const chunk of encodeCommits(commitMessages(commits))) yield commitsResponse(CommitsByMessageResponseSchema, chunk);
}

function optionsOf({ query, offset, limit }: CommitsByMessageRequest): GitOption[] {
  const options = [joined('--grep', query), flag('--regexp-ignore-case')];
  if (offset > 0) options.push(joined('--skip', offset));
  if (limit > 0) options.push(joined('--max-count', limit));
  return options;
}
