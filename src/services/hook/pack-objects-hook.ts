import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { packObjects } from '#domain/pack-objects/pack-objects';
import { parsePackObjectsRequest } from '#domain/pack-objects/pack-objects-request';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { messageWriter, streamResponses } from '#services/convert/response/stream-responses';
import type { PackObjectsHookRequest, PackObjectsHookResponseSchema } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';

type Response = MessageInitShape<typeof PackObjectsHookResponseSchema>;

/** Makes the pack of a fetch within gRPC, as hooks of Gitaly 15 ask for it. */
export async function* packObjectsHook(
  requests: AsyncIterable<PackObjectsHookRequest>,
  context: HandlerContext,
  deps: HookDependencies,
): AsyncGenerator<Response> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const repository = deps.storages.open(first.repository);
  const request = parsePackObjectsRequest(first.args);

  yield* streamResponses<Response>(context.signal, async (respond, signal) => {
    const streams = {
      input: bytesOf(rest, ({ stdin }) => stdin),
      stdout: messageWriter(respond, (stdout) => ({ stdout })),
      stderr: messageWriter(respond, (stderr) => ({ stderr })),
    };
    await packObjects({ repository, request, streams, signal }).catch((error: unknown) => {
      throw wrap(error, 'pack objects hook');
    });
  });
}
