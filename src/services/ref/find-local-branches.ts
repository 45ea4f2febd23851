import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { BranchTip } from '#git/refs/branch-tip';
import type { RefQuery } from '#git/refs/for-each-ref';
import { listBranchTips } from '#git/refs/list-branch-tips';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { ReverseWriter } from '#wire/fast/reverse-writer';
import {
  type FindLocalBranchesRequest,
  FindLocalBranchesRequest_SortBy,
  type FindLocalBranchesResponseSchema,
} from '#wire/gen/ref_pb';
import { chunkEncoded } from '../convert/chunk-batches.ts';
import { type CommitMessage, toAuthorMessage, toCommitMessage } from '../convert/commit.ts';
import { cutPage, itemsOf, type Page, pageOf } from '../convert/pagination.ts';
import { branchLines } from './branch-lines.ts';
import { type EncodedBranch, encodeBranch, responseOf } from './encode-branches.ts';
import { checkExcludes } from './exclude-patterns.ts';
import type { RefRooms } from './index.ts';
import { findingError, startList } from './listing-error.ts';

type Response = MessageInitShape<typeof FindLocalBranchesResponseSchema>;

/** On: commits are as `for-each-ref` shows them, in messages of about 1 MiB. Off: as in all other calls, 20 in a message. */
const REF_ITERATOR: FeatureFlag = { name: 'ref_iterator', onByDefault: true };

const NAMESPACE = 'refs/heads/';
/** @see Gitaly: helper.MaxCommitOrTagMessageSize */
const MAX_BODY_BYTES = 10 * 1024;

const KEYS: Readonly<Record<number, string>> = {
  [FindLocalBranchesRequest_SortBy.NAME]: 'refname',
  [FindLocalBranchesRequest_SortBy.UPDATED_ASC]: 'committerdate',
  [FindLocalBranchesRequest_SortBy.UPDATED_DESC]: '-committerdate',
};

/** Lists branches with their commits. */
export async function* findLocalBranches(
  request: FindLocalBranchesRequest,
  context: HandlerContext,
  rooms: RefRooms,
): AsyncGenerator<Response> {
  const repository = rooms.storages.open(request.repository);
  checkExcludes(request.excludePatterns, NAMESPACE);
  const sort = KEYS[request.sortBy];
  // Gitaly runs into its own assertion here, and says so.
  if (sort === undefined) throw new GitalyError('INTERNAL', 'panic: never reached');

  const query = { patterns: [NAMESPACE], exclude: request.excludePatterns, sort };
  const page = pageOf(request.paginationParams);
  if (context.flags.isEnabled(REF_ITERATOR)) yield* asGitShows(repository, query, { page, signal: context.signal });
  else {
    for await (const branches of branchLines(repository, query, { context, page })) {
      const writer = new ReverseWriter();
      yield responseOf(branches.map(({ ref, commit }) => encodeBranch(writer, ref.name, toCommitMessage(commit))));
    }
  }
}

async function* asGitShows(
  repository: Repository,
  query: RefQuery,
  { page, signal }: { readonly page: Page; readonly signal: AbortSignal },
): AsyncGenerator<Response> {
  try {
    const list = startList(() => listBranchTips(repository.git, repository, query, { signal }));
    const branches = encodeTips(itemsOf(cutPage(list, page)));
    for await (const chunk of chunkEncoded(branches)) yield responseOf(chunk);
  } catch (error) {
    throw findingError(error);
  }
}

async function* encodeTips(batches: AsyncIterable<readonly BranchTip[]>): AsyncGenerator<EncodedBranch[], void> {
  const writer = new ReverseWriter();
  for await (const tips of batches) yield tips.map((tip) => encodeBranch(writer, tip.name, toCommit(tip)));
}

function toCommit({ oid, treeOid, parentOids, author, committer, subject, body }: BranchTip): CommitMessage {
  const cut = body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body;
  return {
    id: oid,
    subject,
    body: cut,
    // Of what is sent, other than in all other calls.
    bodySize: BigInt(cut.length),
    parentIds: [...parentOids],
    treeId: treeOid,
    author: toAuthorMessage(author),
    committer: toAuthorMessage(committer),
  };
}
