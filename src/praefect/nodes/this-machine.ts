import { BlockList, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { parseAddress } from '#client/connect/address';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Names and addresses of a machine. */
export interface Machine {
  readonly names: ReadonlySet<string>;
  /** IP addresses of its network interfaces. */
  readonly addresses: ReadonlySet<string>;
}

/** Returns the names and addresses that this machine has now. */
export function thisMachine(): Machine {
  const interfaces = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return {
    names: new Set(['localhost', hostname().toLowerCase()]),
    addresses: new Set(interfaces.map(({ address }) => address)),
  };
}

/**
 * Reports whether a server address is on a machine: a Unix socket, a loopback address, or a name or
 * an address of the machine. Other names are not resolved.
 */
export function isOnMachine(address: string, { addresses, names }: Machine): boolean {
  const target = parseAddress(address);
  if (target.kind === 'unix') return true;
  const { host } = target;
  const version = isIP(host);
  if (version === 0) return names.has(host.toLowerCase());
  return addresses.has(host) || LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}
