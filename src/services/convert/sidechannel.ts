import type { Duplex, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { wrap } from '#base/gitaly-error';
import { stoppableChunks } from '#base/stoppable-chunks';
import { SidechannelError } from '#rpc/common/sidechannel';
import type { HandlerContext } from '#rpc/server/handler';

/** Opens the client's sidechannel. `retryableCode` is answered when the connection failed us and the call may be tried again. */
export async function openSidechannel(
  context: HandlerContext,
  prefix: string,
  retryableCode: 'UNAVAILABLE' | 'INTERNAL',
): Promise<Duplex> {
  try {
    return await context.openSidechannel();
  } catch (error) {
    const isRetryable = error instanceof SidechannelError && error.isRetryable;
    throw wrap(error, prefix, isRetryable ? retryableCode : 'INTERNAL');
  }
}

/** What the client sends, for reading in a loop that leaves the other direction open when it ends. */
export function clientBytes(sidechannel: Duplex): AsyncIterable<Uint8Array> {
  return stoppableChunks(sidechannel);
}

/**
 * Ends the sidechannel when everything has been sent. A client that has left already is not our problem.
 *
 * @param bands writers on top of it, which may still hold something.
 */
export async function closeSidechannel(sidechannel: Duplex, bands: readonly Writable[] = []): Promise<void> {
  for (const band of bands) {
    band.end();
    await finished(band).catch((error: unknown) => {
      if (!sidechannel.destroyed) throw error;
    });
  }
  if (sidechannel.destroyed) return;
  // Called when all has left and when the sidechannel is gone.
  await new Promise<void>((resolve) => void sidechannel.end(() => resolve()));
}
