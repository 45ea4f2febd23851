import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import { flatten } from '#base/flatten';
import { GitalyError } from '#base/gitaly-error';
import type { RefQuery } from '#git/refs/for-each-ref';
import { type BranchTip, listBranchTips } from '#git/refs/list-branch-tips';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import {
  type FindLocalBranchCommitAuthorSchema,
  type FindLocalBranchesRequest,
  FindLocalBranchesRequest_SortBy,
  type FindLocalBranchesResponseSchema,
  type FindLocalBranchResponseSchema,
} from '#wire/gen/ref_pb';
import { BranchSchema, type CommitAuthorSchema } from '#wire/gen/shared_pb';
import { type CommitMessage, commitSizeBound, toAuthorMessage, toCommitMessage } from '../convert/commit.ts';
import { cutPage, itemsOf, type Page, pageOf } from '../convert/pagination.ts';
import { branchLines } from './branch-lines.ts';
import { checkExcludes } from './exclude-patterns.ts';
import type { RefRooms } from './index.ts';
import { findingError, startList } from './listing-error.ts';

type Response = MessageInitShape<typeof FindLocalBranchesResponseSchema>;
type Person = MessageInitShape<typeof CommitAuthorSchema>;
type OldPerson = MessageInitShape<typeof FindLocalBranchCommitAuthorSchema>;
type Branch = { readonly name: Buffer; readonly targetCommit: CommitMessage };

/** On: one `for-each-ref` prints everything, and messages are of about 1 MiB. Off: commits are read one by one, 20 in a message. */
const REF_ITERATOR: FeatureFlag = { name: 'ref_iterator', onByDefault: true };

const NOTHING = Buffer.alloc(0);
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
  if (context.flags.isEnabled(REF_ITERATOR)) yield* fromGit(repository, query, { page, signal: context.signal });
  else {
    for await (const branches of branchLines(repository, query, { context, page })) {
      yield toResponse(branches.map(({ ref, commit }) => ({ name: ref.name, targetCommit: toCommitMessage(commit) })));
    }
  }
}

async function* fromGit(
  repository: Repository,
  query: RefQuery,
  { page, signal }: { readonly page: Page; readonly signal: AbortSignal },
): AsyncGenerator<Response> {
  try {
    const tips = cutPage(
      startList(() => listBranchTips(repository.git, repository, query, { signal })),
      page,
    );
    const branches = flatten(branchesOf(itemsOf(tips)));
    for await (const chunk of chunkBySize<Branch>(branches, { sizeOf: branchSize, upperBound: branchSizeBound })) {
      yield toResponse(chunk);
    }
  } catch (error) {
    throw findingError(error);
  }
}

async function* branchesOf(batches: AsyncIterable<readonly BranchTip[]>): AsyncGenerator<Branch[], void> {
  for await (const tips of batches) yield tips.map(toBranch);
}

function toBranch({ name, oid, treeOid, parentOids, author, committer, subject, body }: BranchTip): Branch {
  const cut = body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body;
  return {
    name,
    targetCommit: {
      id: oid,
      subject,
      body: cut,
      // Of what is sent, other than in all other calls.
      bodySize: BigInt(cut.length),
      parentIds: [...parentOids],
      treeId: treeOid,
      author: toAuthorMessage(author),
      committer: toAuthorMessage(committer),
    },
  };
}

/** Clients of 16.7 and later read `local_branches`, those of 15.0 `branches`. */
function toResponse(branches: Branch[]): Response {
  return { localBranches: branches, branches: branches.map(toOldBranch) };
}

function toOldBranch({ name, targetCommit }: Branch): MessageInitShape<typeof FindLocalBranchResponseSchema> {
  const { id = '', subject = NOTHING, author, committer } = targetCommit;
  return {
    name,
    commitId: id,
    commitSubject: subject,
    ...(author && { commitAuthor: toOldPerson(author) }),
    ...(committer && { commitCommitter: toOldPerson(committer) }),
    commit: targetCommit,
  };
}

function toOldPerson({ name = NOTHING, email = NOTHING, date, timezone = NOTHING }: Person): OldPerson {
  return { name, email, timezone, ...(date && { date }) };
}

function branchSize(branch: Branch): number {
  return toBinary(BranchSchema, create(BranchSchema, branch)).length;
}

function branchSizeBound({ name, targetCommit }: Branch): number {
  return 16 + name.length + commitSizeBound(targetCommit);
}
