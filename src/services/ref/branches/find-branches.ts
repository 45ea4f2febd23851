import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { BranchTip, KnownTip } from '#git/refs/list/branch-tip';
import { listBranchTips } from '#git/refs/list/list-branch-tips';
import type { RefReader } from '#git/refs/ref-reader';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import { cutPage, itemsOf, type PageBounds, pageOf } from '#services/convert/request/pagination';
import { chunkEncoded } from '#services/convert/response/chunk-batches';
import { type CommitMessage, toAuthorMessage, toCommitMessage } from '#services/convert/response/commit';
import type { Repository } from '#storage/repository';
import {
  type FindAllBranchesRequest,
  FindLocalBranchesRequest_SortBy,
  FindLocalBranchesRequestSchema,
  FindLocalBranchesResponseSchema,
} from '#wire/gen/ref_pb';
import type { Handlers } from '../dependencies.ts';
import { checkExcludes } from '../exclude-patterns.ts';
import { findingError, startList } from '../listing-error.ts';
import { type BranchCommit, branchLines } from './branch-lines.ts';
import {
  type EncodedBranch,
  type EncodedCommit,
  encodeBranch,
  encodeTarget,
  encodeTargetTwice,
  responseOf,
} from './encode-branches.ts';
import type { KnownCommits } from './known-commits.ts';

/**
 * On: commits as `for-each-ref` shows them, in messages of about 1 MiB. Off: as in all other calls,
 * 20 in a message.
 */
const REF_ITERATOR: FeatureFlag = { name: 'ref_iterator', onByDefault: true };

type Encode = typeof encodeTarget;
type Response = MessageInitShape<typeof FindLocalBranchesResponseSchema>;

const NAMESPACE = 'refs/heads/';
/** Commits of one list that may be remembered. */
const MAX_NEW = 10_000;
/** @see Gitaly: helper.MaxCommitOrTagMessageSize */
const MAX_BODY_BYTES = 10 * 1024;

const KEYS: Readonly<Record<number, string>> = {
  [FindLocalBranchesRequest_SortBy.NAME]: 'refname',
  [FindLocalBranchesRequest_SortBy.UPDATED_ASC]: 'committerdate',
  [FindLocalBranchesRequest_SortBy.UPDATED_DESC]: '-committerdate',
};

/** Lists branches with their commits. */
export const findLocalBranches: Handlers['findLocalBranches'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  await checkExcludes(request.excludePatterns, NAMESPACE);
  const sort = KEYS[request.sortBy];
  // Gitaly fails with an assertion here, and returns this text.
  if (sort === undefined) throw new GitalyError('INTERNAL', 'panic: never reached');

  const query = { patterns: [NAMESPACE], exclude: request.excludePatterns, sort };
  const page = pageOf(request.paginationParams);
  const encode = deps.fillsOldFields ? encodeTargetTwice : encodeTarget;
  if (!context.flags.isEnabled(REF_ITERATOR)) {
    for await (const branches of branchLines(repository, query, { context, page })) {
      const encodeOne = ({ ref, commit }: BranchCommit): EncodedBranch =>
        encodeBranch(ref.name, encode(toCommitMessage(commit)));
      yield responseOf(branches.map(encodeOne));
    }
    return;
  }
  yield* deps.lists.get({
    repository,
    input: FindLocalBranchesRequestSchema,
    output: FindLocalBranchesResponseSchema,
    request,
    log: context.log,
    produce: () =>
      asGitShows(repository, query, { page, encode, known: deps.knownCommits, signal: context.signal }),
  });
};

interface ShowOptions {
  readonly page: PageBounds;
  readonly encode: Encode;
  readonly known: KnownCommits;
  readonly signal: AbortSignal;
}

async function* asGitShows(
  repository: Repository,
  query: RefQuery,
  { page, encode, known, signal }: ShowOptions,
): AsyncGenerator<Response> {
  try {
    const before = known.of(repository);
    const options = { signal, ...(before && { isKnown: (oid: string) => before.has(oid) }) };
    const list = startList(() => listBranchTips(repository, query, options));
    const commits = new Map<string, EncodedCommit>();
    const branches = encodeTips(itemsOf(cutPage(list, page)), { before, commits, encode });
    for await (const chunk of chunkEncoded(branches)) yield responseOf(chunk);
    if (commits.size <= MAX_NEW) known.add(repository, commits);
  } catch (error) {
    throw findingError(error);
  }
}

interface EncodeOptions {
  /** Commits of the last list. */
  readonly before: ReadonlyMap<string, EncodedCommit> | undefined;
  /** Collects further ones. */
  readonly commits: Map<string, EncodedCommit>;
  readonly encode: Encode;
}

async function* encodeTips(
  batches: AsyncIterable<readonly (BranchTip | KnownTip)[]>,
  { before, commits, encode }: EncodeOptions,
): AsyncGenerator<EncodedBranch[], void> {
  const commitOf = (tip: BranchTip | KnownTip): EncodedCommit => {
    const known = before?.get(tip.oid);
    if (known !== undefined) return known;
    if (tip.treeOid === undefined) throw new Error(`nothing is known about ${tip.oid}`);
    const commit = encode(toCommit(tip));
    if (commits.size <= MAX_NEW) commits.set(tip.oid, commit);
    return commit;
  };
  for await (const tips of batches) yield tips.map((tip) => encodeBranch(tip.name, commitOf(tip)));
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

const EVERYWHERE = ['refs/heads', 'refs/remotes'];

/**
 * Lists local and remote branches with their commits, 20 in a message; with `merged_only` those
 * that the default branch contains.
 */
export const findAllBranches: Handlers['findAllBranches'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);

  const query = request.mergedOnly
    ? await mergedQuery(request, repository.refs, context.signal)
    : { patterns: EVERYWHERE };
  for await (const branches of branchLines(repository, query, { context })) {
    yield {
      branches: branches.map(({ ref, commit }) => ({ name: ref.name, target: toCommitMessage(commit) })),
    };
  }
};

async function mergedQuery(
  { mergedBranches }: FindAllBranchesRequest,
  refs: RefReader,
  signal: AbortSignal,
): Promise<RefQuery> {
  try {
    // In a repository without branches, git is called with an empty name, and fails.
    const merged = (await refs.defaultBranch({ signal })) ?? '';
    return { patterns: mergedBranches.length > 0 ? mergedBranches : EVERYWHERE, merged };
  } catch (error) {
    throw wrap(error, 'default branch name');
  }
}

/** Lists the branches of one remote with their commits, 20 in a message. */
export const findAllRemoteBranches: Handlers['findAllRemoteBranches'] = async function* (
  request,
  context,
  deps,
) {
  const repository = deps.storages.open(request.repository);
  if (request.remoteName === '') throw invalidArgument('empty RemoteName');

  const query = { patterns: [`refs/remotes/${request.remoteName}`] };
  for await (const branches of branchLines(repository, query, { context })) {
    yield {
      branches: branches.map(({ ref, commit }) => ({
        name: ref.name,
        targetCommit: toCommitMessage(commit),
      })),
    };
  }
};
