import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import { type CommitMessage, toCommitMessage } from '#services/convert/response/commit';
import { type ListCommitsByOidRequest, ListCommitsByOidResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { commitsResponse, encodeCommits } from '../encode-commits.ts';
import { type NamedCommit, readNamed } from './read-named.ts';

/**
 * Reads commits in the order requested, as often as requested. What leads to no commit is left out.
 */
export async function* listCommitsByOid(
  request: ListCommitsByOidRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): AsyncGenerator<MessageInitShape<typeof ListCommitsByOidResponseSchema>> {
  const { objects } = deps.storages.open(request.repository);
  deps.observeListCommitsByOid?.(request.oid.length);

  const commits = messages(readNamed(objects, request.oid, context));
  for await (const chunk of encodeCommits(commits))
    yield commitsResponse(ListCommitsByOidResponseSchema, chunk);
}

async function* messages(
  batches: AsyncIterable<readonly NamedCommit<string>[]>,
): AsyncGenerator<CommitMessage[]> {
  for await (const batch of batches)
    yield batch.flatMap(({ commit }) => (commit === undefined ? [] : [toCommitMessage(commit)]));
}
