import type { MessageInitShape } from '@bufbuild/protobuf';
import { messageOf, wrap } from '#base/gitaly-error';
import { BAND, sideBandWriter } from '#base/pkt-line/side-band';
import { decodeHooksPayload } from '#domain/hooks/payload';
import { packObjects } from '#domain/pack-objects/pack-objects';
import { parsePackObjectsRequest } from '#domain/pack-objects/pack-objects-request';
import type { HandlerContext } from '#rpc/server/handler';
import { clientBytes, closeSidechannel } from '#services/convert/request/sidechannel';
import type {
  PackObjectsHookWithSidechannelRequest,
  PackObjectsHookWithSidechannelResponseSchema,
} from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { dialHookSidechannel } from './hook-sidechannel.ts';

/** Makes the pack of a fetch for upload-pack's hook. */
export async function packObjectsHookWithSidechannel(
  request: PackObjectsHookWithSidechannelRequest,
  context: HandlerContext,
  deps: HookDependencies,
): Promise<MessageInitShape<typeof PackObjectsHookWithSidechannelResponseSchema>> {
  const repository = deps.storages.open(request.repository);
  const pack = parsePackObjectsRequest(request.args);
  const sidechannel = await dialHookSidechannel(context);
  try {
    requirePayload(request);
    const streams = {
      input: clientBytes(sidechannel),
      stdout: sideBandWriter(sidechannel, BAND.stdout),
      stderr: sideBandWriter(sidechannel, BAND.stderr),
    };
    await packObjects({ repository, request: pack, streams, signal: context.signal }).catch(
      (error: unknown) => {
        throw wrap(error, 'pack objects hook');
      },
    );
    await closeSidechannel(sidechannel, [streams.stdout, streams.stderr]).catch((error: unknown) => {
      throw wrap(error, 'close side-channel');
    });
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
