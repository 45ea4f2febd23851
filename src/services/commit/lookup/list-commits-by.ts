import type { MessageShape } from '@bufbuild/protobuf';
import { chunkEncoded } from '#services/convert/response/chunk-batches';
import { encodedCommit } from '#services/convert/response/encoded-commit';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import {
  ListCommitsByOidResponseSchema,
  ListCommitsByRefNameResponse_CommitForRefSchema,
  ListCommitsByRefNameResponseSchema,
} from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';
import { commitsResponse } from '../encode-commits.ts';
import { type NamedCommit, readNamed } from './read-named.ts';

const { commitRefs: COMMIT_REFS } = fieldNumbers(ListCommitsByRefNameResponseSchema, {
  commitRefs: 'message',
});
const REF = fieldNumbers(ListCommitsByRefNameResponse_CommitForRefSchema, {
  commit: 'message',
  refName: 'bytes',
});

/**
 * Reads the commits of references in the order of the request. References without a commit are
 * omitted.
 */
export const listCommitsByRefName: Handlers['listCommitsByRefName'] = async function* (
  request,
  context,
  deps,
) {
  const { objects } = deps.storages.open(request.repository);

  const encoded = encode(readNamed(objects, request.refNames, context));
  for await (const chunk of chunkEncoded(encoded)) yield responseOf(chunk);
};

async function* encode(
  batches: AsyncIterable<readonly NamedCommit<Uint8Array>[]>,
): AsyncGenerator<Buffer[], void> {
  for await (const batch of batches) {
    yield batch.flatMap(({ revision, commit }) => {
      if (commit === undefined) return [];
      const message = encodedCommit(commit);
      const encoded = encodeWith((writer) => {
        writer.bytes(REF.refName, revision);
        writer.bytes(REF.commit, message);
      });
      return [encoded];
    });
  }
}

function responseOf(commitRefs: readonly Buffer[]): MessageShape<typeof ListCommitsByRefNameResponseSchema> {
  const encoded = encodeWith((writer) => {
    for (const commitRef of commitRefs.toReversed()) writer.bytes(COMMIT_REFS, commitRef);
  });
  return encodedMessage(ListCommitsByRefNameResponseSchema, encoded);
}

/**
 * Reads commits in the order of the request, including duplicates. Ids without a commit are
 * omitted.
 */
export const listCommitsByOid: Handlers['listCommitsByOid'] = async function* (request, context, deps) {
  const { objects } = deps.storages.open(request.repository);
  deps.observeListCommitsByOid?.(request.oid.length);

  const commits = encoded(readNamed(objects, request.oid, context));
  for await (const chunk of chunkEncoded(commits))
    yield commitsResponse(ListCommitsByOidResponseSchema, chunk);
};

async function* encoded(
  batches: AsyncIterable<readonly NamedCommit<string>[]>,
): AsyncGenerator<Buffer[], void> {
  for await (const batch of batches)
    yield batch.flatMap(({ commit }) => (commit === undefined ? [] : [encodedCommit(commit)]));
}
