import { lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Networks that are not on the public Internet.
 *
 * @see IANA: Special-Purpose Address Registries of IPv4 and IPv6, and multicast.
 */
const SPECIAL = [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24',
  '192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24',
  '224.0.0.0/4 240.0.0.0/4',
  '::/128 ::1/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16',
  '3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8',
].flatMap((line) => line.split(' '));

/** All of IPv6 that is or will be public, except for mapped IPv4 addresses, which are checked as such. */
const unicast = new BlockList();
unicast.addSubnet('2000::', 3, 'ipv6');
unicast.addSubnet('::ffff:0.0.0.0', 96, 'ipv6');

const special = new BlockList();
for (const network of SPECIAL) {
  const [address = '', prefix] = network.split('/');
  special.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** The host of a webhook leads to an address that is not public. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError';
}

/** Throws for an address that is not public. @throws {PrivateAddressError} */
export function requirePublic(address: string): void {
  const isPublic =
    isIP(address) === 4
      ? !special.check(address, 'ipv4')
      : isIP(address) === 6 && unicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
  if (!isPublic)
    throw new PrivateAddressError(`${address} is not a public address: set allow_private_addresses`);
}

/**
 * Looks up a host for a connection, and fails if one of its addresses is not public. The connection
 * uses the addresses that were checked.
 */
export const lookupPublic: LookupFunction = (host, options, callback) => {
  resolve(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    try {
      for (const { address } of addresses) requirePublic(address);
    } catch (problem) {
      return callback(problem instanceof Error ? problem : new Error(String(problem)), []);
    }
    const [first] = addresses;
    if (options.all || first === undefined) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
