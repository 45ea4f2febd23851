import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { readCommits } from '#git/history/read-commits';
import { type RevListQuery, revList } from '#git/history/rev-list';
import type { HandlerContext } from '#rpc/server/handler';
import { type ListCommitsRequest, ListCommitsRequest_Order, ListCommitsResponseSchema } from '#wire/gen/commit_pb';
import { usesMailmap } from '../convert/feature-flags.ts';
import { requireRevisions } from '../convert/revision.ts';
import { CommitPage } from './commit-page.ts';
import { commitMessages, commitsResponse, encodeCommits } from './encode-commits.ts';
import { goTime } from './git-dates.ts';
import type { CommitRooms } from './index.ts';

/** Walks the history from revisions. The last message of a page behind which there is more carries the token of the next page. */
export async function* listCommits(
  request: ListCommitsRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof ListCommitsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const revisions = requireRevisions(request.revisions);

  const { signal } = context;
  const page = new CommitPage(request.paginationParams);
  // What is left of the walk counts from its other end when it is reversed, and a git that is to count walks though it was told not to.
  const maxCount = request.reverse || request.disableWalk ? undefined : page.maxCount;
  const oids = page.cut(revList(repository.git, repository, { revisions, ...queryOf(request), maxCount }, { signal }));
  const commits = readCommits(repository.objects, oids, { signal, mailmap: usesMailmap(context) });
  let isLast = false;
  const messages = async function* () {
    yield* commitMessages(commits);
    // Every chunk but the last is full only when a commit has come that does not fit into it.
    isLast = true;
  };
  try {
    for await (const chunk of encodeCommits(messages())) {
      yield commitsResponse(ListCommitsResponseSchema, chunk, { nextCursor: isLast ? page.nextCursor : undefined });
    }
  } catch (error) {
    throw wrap(error, 'iterating objects');
  }
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
