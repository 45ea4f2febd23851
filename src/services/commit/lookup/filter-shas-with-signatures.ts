import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ObjectReader } from '#git/objects/object-reader';
import type { HandlerContext } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import type {
  FilterShasWithSignaturesRequest,
  FilterShasWithSignaturesResponseSchema,
} from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';
import { readNamed } from './read-named.ts';

type Response = MessageInitShape<typeof FilterShasWithSignaturesResponseSchema>;

/**
 * Answers every request with those of its commits that carry a signature of a known kind, under the
 * names in the request. One response per request, before the next request is checked.
 */
export async function* filterShasWithSignatures(
  requests: AsyncIterable<FilterShasWithSignaturesRequest>,
  context: HandlerContext,
  deps: CommitDependencies,
): AsyncGenerator<Response> {
  const { first, rest } = await openRequests(requests);
  const { objects } = deps.storages.open(first.repository);

  yield await signedOf(first, objects, context);
  for await (const request of rest) yield await signedOf(request, objects, context);
}

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
