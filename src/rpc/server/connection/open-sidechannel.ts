import { codeOf } from '#base/gitaly-error';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import { openSidechannel, parseSidechannelId, type StreamOpener } from '#rpc/common/sidechannel';
import type { SidechannelStream } from '#rpc/common/sidechannel-stream';
import type { Peer } from '../handler.ts';

/** Lookup of the multiplexed connection of a call. */
export interface SessionsByPeer {
  session(peer: Peer): StreamOpener | undefined;
}

/**
 * Opens the sidechannel that a call's client offers in its metadata, for
 * `HandlerContext.openSidechannel`. It is closed and not reset if the client cancels the call.
 *
 * @throws {SidechannelError} in this order: no id in the metadata, a plain connection, a failure
 *   while opening
 */
export async function openCallSidechannel(
  headers: Metadata,
  peer: Peer,
  options: { sessions: SessionsByPeer; signal?: AbortSignal },
): Promise<SidechannelStream> {
  const id = parseSidechannelId(headers.getAll(SIDECHANNEL_ID));
  const { sessions, signal } = options;
  const session = sessions.session(peer);
  if (signal === undefined) return await openSidechannel(session, id);
  const stream = await openSidechannel(session, id, { signal });
  const onAbort = (): void => {
    if (codeOf(signal.reason) === 'CANCELLED') stream.abandon();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return stream;
}
