import type { MessageInitShape } from '@bufbuild/protobuf';
import { eachInTurn } from '#base/async/loop-turns';
import { invalidArgument, wrapped } from '#base/gitaly-error';
import { mapAhead } from '#base/streams/map-ahead';
import { splitSignature } from '#git/history/commit-signature';
import type { ObjectReader } from '#git/objects/object-reader';
import { parseCommitInTurns } from '#git/objects/parse/parse-commit';
import type { HandlerContext } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import { requireObjectId } from '#services/convert/request/object-id';
import { takeBytes } from '#services/convert/request/take-bytes';
import { toAuthorMessage } from '#services/convert/response/commit';
import {
  type FilterShasWithSignaturesRequest,
  type FilterShasWithSignaturesResponseSchema,
  GetCommitSignaturesResponse_Signer as Signer,
} from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';
import { readNamed } from './read-named.ts';

const LOOK_AHEAD = 64;

/**
 * Reads signatures and what they sign: for each signed commit a message with the signature, then
 * the signed text in pieces. Commits without a signature and ids without a commit are left out. No
 * mailmap: it would change what was signed. The signer is the server where one of its keys made the
 * signature, and else a user.
 */
export const getCommitSignatures: Handlers['getCommitSignatures'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
  if (request.commitIds.length === 0) throw invalidArgument('empty CommitIds');
  const objectFormat = repository.objectFormat;
  await eachInTurn(request.commitIds, (id) => void requireObjectId(id, objectFormat));

  const keys = await deps.signingKeys?.all().catch(wrapped('failed to parse signing key'));

  const { signal } = context;
  const read = (id: string) => repository.objects.readObject(`${id}^{commit}`, { signal });
  for await (const object of mapAhead(request.commitIds, LOOK_AHEAD, read)) {
    const signed = object && (await splitSignature(object.data));
    if (object === undefined || signed === undefined) continue;
    const { author, committer } = await parseCommitInTurns(object.oid, object.data);
    const isOurs = keys?.some((key) => key.hasSigned(signed.signedText, signed.signature)) ?? false;
    yield {
      commitId: object.oid,
      signature: signed.signature,
      signer: isOurs ? Signer.SYSTEM : Signer.USER,
      ...(author && { author: toAuthorMessage(author) }),
      ...(committer && { committer: toAuthorMessage(committer) }),
    };
    for await (const signedText of takeBytes([signed.signedText], signed.signedText.length))
      yield { signedText };
  }
};

type Response = MessageInitShape<typeof FilterShasWithSignaturesResponseSchema>;

/**
 * Answers every request with those of its commits that carry a signature of a known kind, under the
 * names in the request. One response per request, before the next request is checked.
 */
export const filterShasWithSignatures: Handlers['filterShasWithSignatures'] = async function* (
  requests,
  context,
  deps,
) {
  const { first, rest } = await openRequests(requests);
  const { objects } = deps.storages.open(first.repository);

  yield await signedOf(first, objects, context);
  for await (const request of rest) yield await signedOf(request, objects, context);
};

async function signedOf(
  request: FilterShasWithSignaturesRequest,
  objects: ObjectReader,
  context: HandlerContext,
): Promise<Response> {
  const shas: Uint8Array[] = [];
  for await (const batch of readNamed(objects, request.shas, context)) {
    for (const { revision, commit } of batch)
      if (commit !== undefined && commit.parsed.signatureType !== 'none') shas.push(revision);
  }
  return { shas };
}
