import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import {
  type CommitSearch,
  findCommits as searchCommits,
  UnknownCommitsError,
} from '#domain/history/find-commits';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision } from '#services/convert/request/revision';
import {
  FindCommitsErrorSchema,
  type FindCommitsRequest,
  FindCommitsRequest_Order,
  FindCommitsResponseSchema,
} from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';
import { protobufText } from './git-dates.ts';

/**
 * Lists the history of a revision (the default branch without one) with the filters of `git log`:
 * the page of a project's commits.
 */
export async function* findCommits(
  request: FindCommitsRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponsesOf<typeof FindCommitsResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision, { allowEmpty: true });

  const options = { signal: context.signal, mailmap: usesMailmap(context) };
  const found = await searchCommits(repository, { ...searchOf(request), revision }, options);
  for await (const chunk of encodeCommits(found.batches))
    yield commitsResponse(FindCommitsResponseSchema, chunk);
  // The commits that git found before it failed have been sent.
  const failure = found.failure();
  if (failure !== undefined) throw toError(failure);
}

function searchOf(request: FindCommitsRequest): Omit<CommitSearch, 'revision'> {
  const { all, offset, limit, paths, firstParent, follow, skipMerges, author, messageRegex } = request;
  const { before, after, trailers } = request;
  return {
    all,
    offset,
    limit,
    paths,
    literalPathspecs: request.globalOptions?.literalPathspecs,
    firstParent,
    follow,
    skipMerges,
    topologicalOrder: request.order === FindCommitsRequest_Order.TOPO,
    author,
    messageRegex,
    before: before && protobufText(before),
    after: after && protobufText(after),
    trailers,
    shortStats: request.includeShortstat,
    referencedBy: request.includeReferencedBy,
  };
}

function toError(failure: Error): Error {
  if (!(failure instanceof UnknownCommitsError)) return failure;
  const { message, cause } = failure;
  const details = [create(FindCommitsErrorSchema)];
  return new GitalyError('NOT_FOUND', message, { cause, details, metadata: { stderr: cause.stderr } });
}
