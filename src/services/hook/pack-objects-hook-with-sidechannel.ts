import { messageOf, wrap, wrapped } from '#base/gitaly-error';
import { decodeHooksPayload } from '#domain/hooks/payload';
import { parsePackObjectsRequest } from '#domain/pack-objects/pack-objects-request';
import { withLimitError } from '#rpc/common/limit-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { packRequesterOf } from '#services/convert/request/pack-requester';
import { clientBytes, closeSidechannel } from '#services/convert/request/sidechannel';
import type {
  PackObjectsHookWithSidechannelRequest,
  PackObjectsHookWithSidechannelResponseSchema,
} from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { brokenPipe, dialHookSidechannel } from './hook-sidechannel.ts';

/** Makes the pack of a fetch for upload-pack's hook. */
export async function packObjectsHookWithSidechannel(
  request: PackObjectsHookWithSidechannelRequest,
  context: HandlerContext,
  deps: HookDependencies,
): ResponseOf<typeof PackObjectsHookWithSidechannelResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const pack = parsePackObjectsRequest(request.args);
  const sidechannel = await dialHookSidechannel(context);
  try {
    requirePayload(request);
    const { signal } = context;
    const requested = {
      repository,
      request: pack,
      facts: [request.args, request.gitProtocol],
      input: clientBytes(sidechannel),
      requester: packRequesterOf(context, request.remoteIp),
      signal,
    };
    await deps.packs
      .serve(requested, async (reader) => {
        await reader.copyTo(sidechannel, { isDirect: true, signal }).catch((error: unknown) => {
          throw sidechannel.destroyed ? brokenPipe(context, error) : error;
        });
      })
      .catch((error: unknown) => {
        throw wrap(withLimitError(error), 'pack objects hook');
      });
    await closeSidechannel(sidechannel).catch(wrapped('close side-channel'));
    return {};
  } finally {
    sidechannel.destroy();
  }
}

function requirePayload(request: PackObjectsHookWithSidechannelRequest): void {
  try {
    decodeHooksPayload(request.environmentVariables);
  } catch (error) {
    throw new Error(`hook payload from env: ${messageOf(error)}`, { cause: error });
  }
}
