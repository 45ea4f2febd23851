import { Connection } from './connection.ts';
import { dialBareSidechannel, type SidechannelDialOptions } from './dial-bare-sidechannel.ts';
import type { SidechannelRegistry } from './sidechannel-registry.ts';

/**
 * Dials a server that opens sidechannels: one multiplexed connection carries the calls and their
 * byte streams. The registry assigns streams to calls. Otherwise like `dial`.
 */
export async function dialSidechannel(
  address: string,
  registry: SidechannelRegistry,
  options: SidechannelDialOptions = {},
): Promise<Connection> {
  return new Connection(await dialBareSidechannel(address, registry, options));
}
