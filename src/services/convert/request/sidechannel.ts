import type { Duplex, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { wrap } from '#base/gitaly-error';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import { SidechannelError } from '#rpc/common/sidechannel';
import type { HandlerContext } from '#rpc/server/handler';

/**
 * Opens the client's sidechannel. `retryableCode` is returned if the connection failed and the call
 * may be repeated.
 */
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

/**
 * Returns the client's data as an iterable that leaves the other direction open when the loop ends.
 */
export function clientBytes(sidechannel: Duplex): AsyncIterable<Uint8Array> {
  return stoppableChunks(sidechannel);
}

/**
 * Ends the sidechannel after all data have been sent. A client that has disconnected is no error.
 *
 * @param bands writers on top of it, which may still have buffered data.
 */
export async function closeSidechannel(sidechannel: Duplex, bands: readonly Writable[] = []): Promise<void> {
  for (const band of bands) {
    band.end();
    await finished(band).catch((error: unknown) => {
      if (!sidechannel.destroyed) throw error;
    });
  }
  if (sidechannel.destroyed) return;
  // The callback runs when all data are sent and also when the sidechannel is closed.
  await new Promise<void>((resolve) => void sidechannel.end(() => resolve()));
}
