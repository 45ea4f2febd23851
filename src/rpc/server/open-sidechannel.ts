import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import { openSidechannel, parseSidechannelId, type StreamOpener } from '#rpc/common/sidechannel';
import type { SidechannelStream } from '#rpc/common/sidechannel-stream';
import type { Peer } from './handler.ts';

/** Finds the multiplexed connection that a call came in on. */
export interface SessionsByPeer {
  session(peer: Peer): StreamOpener | undefined;
}

/**
 * Opens the sidechannel that a call's client offers in its metadata: to be given to the server as what
 * `HandlerContext.openSidechannel` does.
 *
 * @throws {SidechannelError} in this order: no id in the metadata, a plain connection, and what can fail on the way
 */
export async function openCallSidechannel(
  headers: Metadata,
  peer: Peer,
  options: { sessions: SessionsByPeer; signal?: AbortSignal },
): Promise<SidechannelStream> {
  const id = parseSidechannelId(headers.getAll(SIDECHANNEL_ID));
  const { sessions, signal } = options;
  return await openSidechannel(sessions.session(peer), id, signal === undefined ? {} : { signal });
}
