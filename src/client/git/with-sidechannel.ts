import { Metadata, type MetadataInit } from '#rpc/common/metadata';
import type { CallOptions } from '../call/call-types.ts';
import type { SidechannelCallback, SidechannelRegistry } from '../sidechannel-registry.ts';

/**
 * Makes a call that uses a sidechannel and waits for both. When the call fails, its error wins and the callback's is dropped. An
 * abort ends the waiting for the callback too.
 */
export async function withSidechannel<T>(
  registry: SidechannelRegistry,
  options: CallOptions,
  parts: { callback: SidechannelCallback; call: (options: CallOptions) => Promise<T> },
): Promise<T> {
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {}); // raced with the callback, if that runs
  const waiter = registry.register((connection) => Promise.race([parts.callback(connection), ended.promise]));
  let response: T;
  try {
    response = await parts.call({ ...options, metadata: joined(options.metadata, waiter.metadata) });
  } catch (error) {
    ended.reject(error); // the callback may be stuck on its own side; the call is over
    await waiter.close().catch(() => {}); // the call's error says more
    throw error;
  }
  await waiter.close();
  return response;
}

function joined(first: MetadataInit | undefined, second: MetadataInit): Metadata {
  const metadata = Metadata.from(first);
  for (const [key, value] of Metadata.from(second).entries()) metadata.set(key, value);
  return metadata;
}
