import type { ListedRef } from '#git/refs/storage/listed-ref';
import type { HandlerContext } from '#rpc/server/handler';
import { requireObjectId } from '#services/convert/request/object-id';
import { chunkBatches } from '#services/convert/response/chunk-batches';
import type { Repository } from '#storage/repository';
import { fieldBytes } from '#wire/fast/fields';
import type { Handlers } from '../dependencies.ts';

/** Yields the names of references, without their common prefix, in messages of about 1 MiB. */
function chunkNames(list: AsyncIterable<readonly ListedRef[]>, prefix = ''): AsyncGenerator<Buffer[], void> {
  return chunkBatches(namesOf(list, prefix.length), ({ length }) => fieldBytes(length));
}

async function* namesOf(
  list: AsyncIterable<readonly ListedRef[]>,
  start: number,
): AsyncGenerator<Buffer[], void> {
  for await (const refs of list) yield refs.map(({ name }) => name.subarray(start));
}

/** Lists the full names of all branches. Clients of 15.0 only. */
export const findAllBranchNames: Handlers['findAllBranchNames'] = async function* (
  request,
  { signal },
  deps,
) {
  const { refs } = deps.storages.open(request.repository);
  for await (const names of chunkNames(refs.list({ patterns: ['refs/heads/'] }, { signal }))) yield { names };
};

/** Lists the full names of all tags. Clients of 15.0 only. */
export const findAllTagNames: Handlers['findAllTagNames'] = async function* (request, { signal }, deps) {
  const { refs } = deps.storages.open(request.repository);
  for await (const names of chunkNames(refs.list({ patterns: ['refs/tags/'] }, { signal }))) yield { names };
};

/** Lists the short names of the branches from which a commit is reached; `limit` 0 means all. */
export const listBranchNamesContainingCommit: Handlers['listBranchNamesContainingCommit'] = async function* (
  request,
  context,
  deps,
) {
  const repository = deps.storages.open(request.repository);
  for await (const branchNames of namesContaining(repository, 'refs/heads/', request, context))
    yield { branchNames };
};

/** Lists the short names of the tags from which a commit is reached; `limit` 0 means all. */
export const listTagNamesContainingCommit: Handlers['listTagNamesContainingCommit'] = async function* (
  request,
  context,
  deps,
) {
  const repository = deps.storages.open(request.repository);
  for await (const tagNames of namesContaining(repository, 'refs/tags/', request, context))
    yield { tagNames };
};

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
