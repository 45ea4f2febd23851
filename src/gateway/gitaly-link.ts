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

/** Makes the connection; it opens with the first request and heals itself. */
export async function linkGitaly({ address, token }: GitalyAddress): Promise<GitalyLink> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(address, registry, {
    clientName: 'gitaly-gateway',
    ...(token === undefined ? {} : { token }),
  });
  return { connection, registry };
}
