import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { BranchTip } from '#git/refs/branch-tip';
import type { RefQuery } from '#git/refs/for-each-ref';
import { listBranchTips } from '#git/refs/list-branch-tips';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';
import { cutPage, itemsOf, type Page, pageOf } from '#services/convert/request/pagination';
import { chunkEncoded } from '#services/convert/response/chunk-batches';
import { type CommitMessage, toAuthorMessage, toCommitMessage } from '#services/convert/response/commit';
import type { Repository } from '#storage/repository';
import { ReverseWriter } from '#wire/fast/reverse-writer';
import {
  type FindLocalBranchesRequest,
  FindLocalBranchesRequest_SortBy,
  FindLocalBranchesRequestSchema,
  FindLocalBranchesResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';
import { checkExcludes } from '../exclude-patterns.ts';
import { findingError, startList } from '../listing-error.ts';
import { branchLines } from './branch-lines.ts';
import { type EncodedBranch, encodeBranch, encodeBranchTwice, responseOf } from './encode-branches.ts';

/**
 * On: commits as `for-each-ref` shows them, in messages of about 1 MiB. Off: as in all other calls,
 * 20 in a message.
 */
const REF_ITERATOR: FeatureFlag = { name: 'ref_iterator', onByDefault: true };

type Encode = typeof encodeBranch;
type Response = MessageInitShape<typeof FindLocalBranchesResponseSchema>;

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
  deps: RefDependencies,
): AsyncGenerator<Response> {
  const repository = deps.storages.open(request.repository);
  await checkExcludes(request.excludePatterns, NAMESPACE);
  const sort = KEYS[request.sortBy];
  // Gitaly fails with an assertion here, and returns this text.
  if (sort === undefined) throw new GitalyError('INTERNAL', 'panic: never reached');

  const query = { patterns: [NAMESPACE], exclude: request.excludePatterns, sort };
  const page = pageOf(request.paginationParams);
  const encode = deps.fillsOldFields ? encodeBranchTwice : encodeBranch;
  if (!context.flags.isEnabled(REF_ITERATOR)) {
    for await (const branches of branchLines(repository, query, { context, page })) {
      const writer = new ReverseWriter();
      yield responseOf(branches.map(({ ref, commit }) => encode(writer, ref.name, toCommitMessage(commit))));
    }
    return;
  }
  yield* deps.lists.get({
    repository,
    input: FindLocalBranchesRequestSchema,
    output: FindLocalBranchesResponseSchema,
    request,
    log: context.log,
    produce: () => asGitShows(repository, query, { page, encode, signal: context.signal }),
  });
}

async function* asGitShows(
  repository: Repository,
  query: RefQuery,
  { page, encode, signal }: { readonly page: Page; readonly encode: Encode; readonly signal: AbortSignal },
): AsyncGenerator<Response> {
  try {
    const list = startList(() => listBranchTips(repository, query, { signal }));
    const branches = encodeTips(itemsOf(cutPage(list, page)), encode);
    for await (const chunk of chunkEncoded(branches)) yield responseOf(chunk);
  } catch (error) {
    throw findingError(error);
  }
}

async function* encodeTips(
  batches: AsyncIterable<readonly BranchTip[]>,
  encode: Encode,
): AsyncGenerator<EncodedBranch[], void> {
  const writer = new ReverseWriter();
  for await (const tips of batches) yield tips.map((tip) => encode(writer, tip.name, toCommit(tip)));
}

function toCommit({ oid, treeOid, parentOids, author, committer, subject, body }: BranchTip): CommitMessage {
  const cut = body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body;
  return {
    id: oid,
    subject,
    body: cut,
    // Size of the sent part, unlike in all other calls.
    bodySize: BigInt(cut.length),
    parentIds: [...parentOids],
    treeId: treeOid,
    author: toAuthorMessage(author),
    committer: toAuthorMessage(committer),
  };
}
