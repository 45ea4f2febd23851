import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { requireObjectId } from '#services/convert/request/object-id';
import type { Repository } from '#storage/repository';
import type {
  ListBranchNamesContainingCommitRequest,
  ListBranchNamesContainingCommitResponseSchema,
  ListTagNamesContainingCommitRequest,
  ListTagNamesContainingCommitResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';
import { chunkNames } from './ref-names.ts';

/** Lists the short names of the branches from which a commit is reached; `limit` 0 means all. */
export async function* listBranchNamesContainingCommit(
  request: ListBranchNamesContainingCommitRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof ListBranchNamesContainingCommitResponseSchema> {
  const repository = deps.storages.open(request.repository);
  for await (const branchNames of namesContaining(repository, 'refs/heads/', request, context))
    yield { branchNames };
}

/** Lists the short names of the tags from which a commit is reached; `limit` 0 means all. */
export async function* listTagNamesContainingCommit(
  request: ListTagNamesContainingCommitRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof ListTagNamesContainingCommitResponseSchema> {
  const repository = deps.storages.open(request.repository);
  for await (const tagNames of namesContaining(repository, 'refs/tags/', request, context))
    yield { tagNames };
}

function namesContaining(
  repository: Repository,
  namespace: string,
  { commitId, limit }: { readonly commitId: string; readonly limit: number },
  { signal }: HandlerContext,
): AsyncGenerator<Buffer[], void> {
  const contains = requireObjectId(commitId, repository.objectFormat);
  const query = { patterns: [namespace], contains, ...(limit > 0 && { limit }) };
  return chunkNames(repository.refs.list(query, { signal }), namespace);
}
