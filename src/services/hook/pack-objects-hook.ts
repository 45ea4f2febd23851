import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { BAND, readSideBand } from '#base/pkt-line/side-band';
import { parsePackObjectsRequest } from '#domain/pack-objects/pack-objects-request';
import { withLimitError } from '#rpc/common/limit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { packRequesterOf } from '#services/convert/request/pack-requester';
import { respondInChunks, streamResponses } from '#services/convert/response/stream-responses';
import type { PackObjectsHookRequest, PackObjectsHookResponseSchema } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';

type Response = MessageInitShape<typeof PackObjectsHookResponseSchema>;

/** Makes the pack of a fetch within gRPC, as hooks of Gitaly 15 request it. */
export async function* packObjectsHook(
  requests: AsyncIterable<PackObjectsHookRequest>,
  context: HandlerContext,
  deps: HookDependencies,
): AsyncGenerator<Response> {
  const { first, rest } = await openRequests(requests);
  const repository = deps.storages.open(first.repository);
  const request = parsePackObjectsRequest(first.args);

  yield* streamResponses<Response>(context.signal, async (respond, signal) => {
    const requested = {
      repository,
      request,
      facts: [first.args, ''],
      input: bytesOf(rest, ({ stdin }) => stdin),
      requester: packRequesterOf(context),
      signal,
    };
    await deps.packs
      .serve(requested, async (reader) => {
        for await (const { band, data } of readSideBand(reader.chunks(signal))) {
          if (band === BAND.stdout) await respondInChunks(data, respond, (stdout) => ({ stdout }));
          else await respondInChunks(data, respond, (stderr) => ({ stderr }));
        }
      })
      .catch((error: unknown) => {
        throw wrap(withLimitError(error), 'pack objects hook');
      });
  });
}
