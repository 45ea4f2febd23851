import { Connection } from './connection.ts';
import { dialBareSidechannel, type SidechannelDialOptions } from './dial-bare-sidechannel.ts';
import type { SidechannelRegistry } from './sidechannel-registry.ts';

/**
 * As `dial`, for servers that open sidechannels: one multiplexed connection carries the calls and the byte streams beside them.
 * The registry says which stream belongs to which call.
 */
export async function dialSidechannel(
  address: string,
  registry: SidechannelRegistry,
  options: SidechannelDialOptions = {},
): Promise<Connection> {
  return new Connection(await dialBareSidechannel(address, registry, options));
}
