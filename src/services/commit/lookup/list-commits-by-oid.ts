import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { chunkEncoded } from '#services/convert/response/chunk-batches';
import { encodedCommit } from '#services/convert/response/encoded-commit';
import { type ListCommitsByOidRequest, ListCommitsByOidResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { commitsResponse } from '../encode-commits.ts';
import { type NamedCommit, readNamed } from './read-named.ts';

/**
 * Reads commits in the order of the request, including duplicates. Ids without a commit are
 * omitted.
 */
export async function* listCommitsByOid(
  request: ListCommitsByOidRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponsesOf<typeof ListCommitsByOidResponseSchema> {
  const { objects } = deps.storages.open(request.repository);
  deps.observeListCommitsByOid?.(request.oid.length);

  const commits = encoded(readNamed(objects, request.oid, context));
  for await (const chunk of chunkEncoded(commits))
    yield commitsResponse(ListCommitsByOidResponseSchema, chunk);
}

async function* encoded(
  batches: AsyncIterable<readonly NamedCommit<string>[]>,
): AsyncGenerator<Buffer[], void> {
  for await (const batch of batches)
    yield batch.flatMap(({ commit }) => (commit === undefined ? [] : [encodedCommit(commit)]));
}
