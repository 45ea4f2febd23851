import { finished } from 'node:stream/promises';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { copyStream } from '#base/streams/copy-stream';
import { exchange } from '#client/git/sidechannel-copy';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** The sidechannel of a proxied call: bytes pass between client and node in both directions. */
export interface ProxiedSidechannel extends AsyncDisposable {
  /** Metadata for the call to the node, in place of the client's. */
  readonly metadata: readonly [key: string, value: string][];
  /**
   * Resolves when all bytes have been passed on. A node that did not open it is no error.
   *
   * @throws {GitalyError} `sidechannel: proxy callback: …`
   */
  finished(): Promise<void>;
}

/** Returns the sidechannel for a call to a node; `undefined` if the client offers none. */
export function proxySidechannel(node: GitalyNode, context: HandlerContext): ProxiedSidechannel | undefined {
  if (!context.headers.has(SIDECHANNEL_ID)) return undefined;
  let isUsed = false;
  const waiter = node.sidechannels.register(async (upstream) => {
    isUsed = true;
    const downstream = await context.openSidechannel();
    try {
      await exchange(upstream, downstream, async () => {
        await copyStream(upstream, downstream);
        downstream.end();
        await finished(downstream, { readable: false });
      });
    } finally {
      downstream.destroy();
    }
  });
  const close = async (): Promise<void> => {
    try {
      await waiter.close();
    } catch (error) {
      if (!isUsed) return;
      throw new GitalyError('INTERNAL', `sidechannel: proxy callback: ${messageOf(error)}`, { cause: error });
    }
  };
  return {
    metadata: [[SIDECHANNEL_ID, String(waiter.id)]],
    finished: close,
    [Symbol.asyncDispose]: () => close().catch(() => {}), // `finished` reports it
  };
}
