import { invalidArgument, wrap } from '#base/gitaly-error';
import { flag, type GitOption, joined } from '#git/command/git-command';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import { loggedCommits } from '#git/history/log';
import { readCommits } from '#git/history/read-commits';
import { allObjects } from '#git/objects/walk-objects';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision } from '#services/convert/request/revision';
import {
  type CommitsByMessageRequest,
  CommitsByMessageResponseSchema,
  type FindAllCommitsRequest,
  FindAllCommitsRequest_Order,
  FindAllCommitsResponseSchema,
  ListAllCommitsResponseSchema,
} from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';
import { CommitPage } from './commit-page.ts';

/**
 * Lists the history of a revision, or of all branches. An unknown revision gives an empty response.
 */
export const findAllCommits: Handlers['findAllCommits'] = async function* (request, context, deps) {
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
};

function optionsOf({ maxCount, skip, order }: FindAllCommitsRequest): GitOption[] {
  const options: GitOption[] = [];
  if (maxCount > 0) options.push(joined('--max-count', maxCount));
  if (skip > 0) options.push(joined('--skip', skip));
  if (order === FindAllCommitsRequest_Order.DATE) options.push(flag('--date-order'));
  if (order === FindAllCommitsRequest_Order.TOPO) options.push(flag('--topo-order'));
  return options;
}

/**
 * Lists the commits whose message matches a regular expression. An unknown revision gives an empty
 * response.
 */
export const commitsByMessage: Handlers['commitsByMessage'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  let revision = requireRevision(request.revision, { allowEmpty: true });
  if (request.query === '') throw invalidArgument('empty Query');

  const { signal } = context;
  if (revision.length === 0) revision = (await repository.refs.defaultBranch({ signal })) ?? revision;
  const query = {
    options: messageOptions(request),
    revisions: [revision],
    paths: request.path.length === 0 ? [] : [request.path],
    literalPathspecs: request.globalOptions?.literalPathspecs,
  };
  const oids = ignoringGitFailure(loggedCommits(repository, query, { signal }), context.log);
  const commits = readCommits(repository.objects, oids, { signal, mailmap: usesMailmap(context) });
  for await (const chunk of encodeCommits(commits))
    yield commitsResponse(CommitsByMessageResponseSchema, chunk);
};

function messageOptions({ query, offset, limit }: CommitsByMessageRequest): GitOption[] {
  const options = [joined('--grep', query), flag('--regexp-ignore-case')];
  if (offset > 0) options.push(joined('--skip', offset));
  if (limit > 0) options.push(joined('--max-count', limit));
  return options;
}

/**
 * Lists every commit of the object database, including unreachable ones, in the order in which they
 * are stored.
 */
export const listAllCommits: Handlers['listAllCommits'] = async function* (request, context, deps) {
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
};
