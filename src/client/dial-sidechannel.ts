import { checkNames, type NamesOf } from '#base/check-names';
import { Connection } from './connection.ts';
import { dialBareSidechannel, type SidechannelDialOptions } from './dial-bare-sidechannel.ts';
import { DIAL_NAMES } from './dial-options.ts';
import type { SidechannelRegistry } from './sidechannel-registry.ts';

const NAMES: NamesOf<SidechannelDialOptions> = {
  ...DIAL_NAMES,
  maxStreamWindowBytes: true,
  acceptBacklog: true,
  onTransfer: true,
  onBackchannel: true,
  onDisconnect: true,
  connect: true,
};

/**
 * Dials a server that opens sidechannels: one multiplexed connection carries the calls and their
 * byte streams. The registry assigns streams to calls. Otherwise like `dial`.
 */
export async function dialSidechannel(
  address: string,
  registry: SidechannelRegistry,
  options: SidechannelDialOptions = {},
): Promise<Connection> {
  checkNames('dialSidechannel', options, NAMES);
  return new Connection(await dialBareSidechannel(address, registry, options));
}
