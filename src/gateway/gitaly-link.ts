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
    ...(maxStreamWindowBytes === undefined ? {} : { maxStreamWindowBytes }),
    ...(token === undefined ? {} : { token }),
    ...(connect === undefined ? {} : { connect }),
  });
  return { connection, registry };
}
