import type { Duplex } from 'node:stream';
import type { Connection } from '#client/connection';
import { dialSidechannel } from '#client/dial-sidechannel';
import { SidechannelRegistry } from '#client/sidechannel-registry';

/** Address of the gateway's Gitaly. */
export interface GitalyAddress {
  readonly address: string;
  readonly token?: string;
  /**
   * Opens a connection to a Gitaly in this process, instead of a socket to the address:
   * `GitalyServer.connect`. It saves the system two copies of each byte.
   */
  readonly connect?: () => Duplex;
}

/** The connection that all requests share, with its sidechannels. */
export interface GitalyLink {
  readonly connection: Connection;
  readonly registry: SidechannelRegistry;
}

/** Longest wait of a request for a Gitaly that cannot be reached: one that is restarted is back then. */
const REACH_MS = 5000;
/** Longest pause between attempts to connect. */
const MAX_BACKOFF_MS = 500;

/**
 * Waits for a moment while Gitaly cannot be reached. If it stays away, the next call fails with the
 * reason.
 *
 * @returns `undefined` if there is nothing to wait for.
 */
export function reach(link: GitalyLink, signal: AbortSignal): Promise<void> | undefined {
  return link.connection.state === 'ready' ? undefined : waitFor(link, signal);
}

async function waitFor({ connection }: GitalyLink, signal: AbortSignal): Promise<void> {
  await connection.waitForReady({ signal, timeoutMs: REACH_MS }).catch(() => {}); // the call reports it
}

/**
 * Creates the connection. It opens with the first request and reconnects automatically.
 *
 * @param maxStreamWindowBytes bounds the data in flight to one clone. Default 256 KiB, as in
 *   Gitaly's own clients.
 */
export async function linkGitaly(
  { address, connect, token }: GitalyAddress,
  maxStreamWindowBytes?: number,
): Promise<GitalyLink> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(address, registry, {
    clientName: 'gitaly-gateway',
    maxConnectBackoffMs: MAX_BACKOFF_MS,
    ...(maxStreamWindowBytes === undefined ? {} : { maxStreamWindowBytes }),
    ...(token === undefined ? {} : { token }),
    ...(connect === undefined ? {} : { connect }),
  });
  return { connection, registry };
}
