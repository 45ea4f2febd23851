import { create } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import {
  type CommitSearch,
  findCommits as searchCommits,
  UnknownCommitsError,
} from '#domain/history/find-commits';
import { readCommits } from '#git/history/read-commits';
import { type RevListQuery, revList } from '#git/history/rev-list';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { requireRevision, requireRevisions } from '#services/convert/request/revision';
import {
  FindCommitsErrorSchema,
  type FindCommitsRequest,
  FindCommitsRequest_Order,
  FindCommitsResponseSchema,
  type ListCommitsRequest,
  ListCommitsRequest_Order,
  ListCommitsResponseSchema,
} from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';
import { CommitPage } from './commit-page.ts';
import { goTime, protobufText } from './git-dates.ts';

/**
 * Lists the history of a revision (the default branch without one) with the filters of `git log`:
 * the page of a project's commits.
 */
export const findCommits: Handlers['findCommits'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision, { allowEmpty: true });

  const options = { signal: context.signal, mailmap: usesMailmap(context) };
  const found = await searchCommits(repository, { ...searchOf(request), revision }, options);
  for await (const chunk of encodeCommits(found.batches))
    yield commitsResponse(FindCommitsResponseSchema, chunk);
  // The commits that git found before it failed have been sent.
  const failure = found.failure();
  if (failure !== undefined) throw toError(failure);
};

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

/**
 * Walks the history from revisions. The last message of a page behind which there is more carries
 * the token of the next page.
 */
export const listCommits: Handlers['listCommits'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const revisions = await requireRevisions(request.revisions);

  const { signal } = context;
  const page = new CommitPage(request.paginationParams);
  // In a reversed walk, the rest counts from the other end. And a git with a count walks even with
  // --no-walk.
  const maxCount = request.reverse || request.disableWalk ? undefined : page.maxCount;
  const oids = page.cut(revList(repository, { revisions, ...queryOf(request), maxCount }, { signal }));
  const commits = readCommits(repository.objects, oids, { signal, mailmap: usesMailmap(context) });
  const progress = { isRead: false };
  try {
    for await (const chunk of encodeCommits(watched(commits, progress))) {
      yield commitsResponse(ListCommitsResponseSchema, chunk, {
        // Every chunk but the last is full only when a commit has arrived that does not fit.
        nextCursor: progress.isRead ? page.nextCursor : undefined,
      });
    }
  } catch (error) {
    throw wrap(error, 'iterating objects');
  }
};

/** Passes items on and records their end. */
async function* watched<T>(items: AsyncIterable<T>, progress: { isRead: boolean }): AsyncGenerator<T> {
  yield* items;
  progress.isRead = true;
}

function queryOf(request: ListCommitsRequest): Omit<RevListQuery, 'revisions'> {
  return {
    order: ORDERS[request.order],
    reverse: request.reverse,
    maxParents: request.maxParents,
    noWalk: request.disableWalk,
    firstParent: request.firstParent,
    before: request.before && goTime(request.before),
    after: request.after && goTime(request.after),
    author: request.author.length === 0 ? undefined : request.author,
    ignoreCase: request.ignoreCase,
    messagePatterns: request.commitMessagePatterns,
    skip: request.skip,
    paths: request.paths,
    literalPathspecs: request.globalOptions?.literalPathspecs ?? false,
  };
}

const ORDERS: Readonly<Record<number, 'topo' | 'date'>> = {
  [ListCommitsRequest_Order.TOPO]: 'topo',
  [ListCommitsRequest_Order.DATE]: 'date',
};
