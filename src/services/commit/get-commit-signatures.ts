import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { mapAhead } from '#base/map-ahead';
import { splitSignature } from '#git/history/commit-signature';
import { parseCommit } from '#git/objects/parse-commit';
import type { HandlerContext } from '#rpc/server/handler';
import {
  type GetCommitSignaturesRequest,
  type GetCommitSignaturesResponseSchema,
  GetCommitSignaturesResponse_Signer as Signer,
} from '#wire/gen/commit_pb';
import { toAuthorMessage } from '../convert/commit.ts';
import { requireObjectId } from '../convert/object-id.ts';
import { takeBytes } from '../convert/take-bytes.ts';
import type { CommitRooms } from './index.ts';

const LOOK_AHEAD = 64;

/**
 * Reads signatures and what they sign: for each signed commit a message with the signature, then the signed text in pieces. Commits without a
 * signature and ids without a commit are left out. No mailmap: it would change what was signed. The signer is the server where one of its
 * keys made the signature, and else a user.
 */
export async function* getCommitSignatures(
  request: GetCommitSignaturesRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof GetCommitSignaturesResponseSchema>> {
  const repository = rooms.storages.open(request.repository, { otherwise: 'INTERNAL' });
  if (request.commitIds.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'empty CommitIds');
  const objectFormat = repository.git.objectFormat(repository);
  for (const id of request.commitIds) requireObjectId(id, objectFormat);

  const keys = await rooms.signingKeys?.all().catch((error: unknown) => {
    throw wrap(error, 'failed to parse signing key');
  });

  const { signal } = context;
  const read = (id: string) => repository.objects.readObject(`${id}^{commit}`, { signal });
  for await (const object of mapAhead(request.commitIds, LOOK_AHEAD, read)) {
    const signed = object && splitSignature(object.data);
    if (object === undefined || signed === undefined) continue;
    const { author, committer } = parseCommit(object.oid, object.data);
    const isOurs = keys?.some((key) => key.hasSigned(signed.signedText, signed.signature)) ?? false;
    yield {
      commitId: object.oid,
      signature: signed.signature,
      signer: isOurs ? Signer.SYSTEM : Signer.USER,
      ...(author && { author: toAuthorMessage(author) }),
      ...(committer && { committer: toAuthorMessage(committer) }),
    };
    for await (const signedText of takeBytes([signed.signedText], signed.signedText.length)) yield { signedText };
  }
}
