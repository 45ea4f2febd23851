import type { Connection } from '#client/connection';
import { dialSidechannel } from '#client/dial-sidechannel';
import { SidechannelRegistry } from '#client/sidechannel-registry';

/** Where the door's Gitaly listens. */
export interface GitalyAddress {
  readonly address: string;
  readonly token?: string;
}

/** The one connection that all requests share, with its sidechannels. */
export interface GitalyLink {
  readonly connection: Connection;
  readonly registry: SidechannelRegistry;
}

/**
 * Makes the connection; it opens with the first request and heals itself.
 *
 * @param maxStreamWindowBytes bounds what is on its way to one clone. Default 256 KiB, as for Gitaly's own clients.
 */
export async function linkGitaly({ address, token }: GitalyAddress, maxStreamWindowBytes?: number): Promise<GitalyLink> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(address, registry, {
    clientName: 'gitaly-gateway',
    ...(maxStreamWindowBytes === undefined ? {} : { maxStreamWindowBytes }),
    ...(token === undefined ? {} : { token }),
  });
  return { connection, registry };
}
