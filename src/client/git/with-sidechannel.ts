import { addAbortListener } from 'node:events';
import { limitedSignal } from '#base/async/limited-signal';
import { Metadata, type MetadataInit } from '#rpc/common/metadata';
import type { CallOptions } from '../call/call-types.ts';
import { cancelled } from '../connect/wait-limit.ts';
import type { SidechannelCallback, SidechannelRegistry } from '../sidechannel-registry.ts';

/**
 * Time that the callback of a failed call has to pass on the data that the server had sent before.
 */
const DRAIN_MS = 5_000;

/**
 * Makes a call that uses a sidechannel and waits for both. If the call fails, its error is thrown
 * and the callback's is dropped; data that arrived before is still passed on, including git's error
 * output. An abort also ends the wait for the callback.
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
    using limited = limitedSignal(DRAIN_MS, options.signal);
    const giveUp = (): void => ended.reject(error); // the callback may be stuck
    if (limited.signal.aborted) giveUp();
    limited.signal.addEventListener('abort', giveUp);
    await waiter.close().catch(() => {}); // the call's error is more specific
    throw error;
  }
  const { signal } = options;
  using _abort = signal && addAbortListener(signal, () => ended.reject(cancelled(signal.reason)));
  await waiter.close();
  return response;
}

function joined(first: MetadataInit | undefined, second: MetadataInit): Metadata {
  const metadata = Metadata.from(first);
  for (const [key, value] of Metadata.from(second).entries()) metadata.set(key, value);
  return metadata;
}
