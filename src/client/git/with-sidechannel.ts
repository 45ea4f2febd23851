import { limitedSignal } from '#base/limited-signal';
import { Metadata, type MetadataInit } from '#rpc/common/metadata';
import type { CallOptions } from '../call/call-types.ts';
import type { SidechannelCallback, SidechannelRegistry } from '../sidechannel-registry.ts';

/** How long the callback of a call that failed may take to hand on what the server had sent by then. */
const LAST_WORDS_MS = 5_000;

/**
 * Makes a call that uses a sidechannel and waits for both. When the call fails, its error wins and the callback's is dropped; what came
 * before it, git's own words about the failure among that, is still handed on. An abort ends the waiting for the callback too.
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
    using limited = limitedSignal(LAST_WORDS_MS, options.signal);
    const giveUp = (): void => ended.reject(error); // the callback may be stuck on its own side
    if (limited.signal.aborted) giveUp();
    limited.signal.addEventListener('abort', giveUp);
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
