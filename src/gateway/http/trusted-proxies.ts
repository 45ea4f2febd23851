import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/** The client of a request. */
export interface ProxyPeer {
  readonly address: string | undefined;
  readonly scheme: 'http' | 'https';
}

/** Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted. */
export class TrustedProxies {
  readonly #list = new BlockList();

  /**
   * Creates the list. @param networks addresses (`10.0.0.1`, `::1`) and networks (`10.0.0.0/8`,
   * `fd00::/8`). @throws {TypeError}
   */
  constructor(networks: readonly string[]) {
    for (const network of networks) this.#add(network);
  }

  /**
   * Returns the client of a request: the last address in `X-Forwarded-For` that is not a trusted
   * proxy. Values that a client writes into the header precede those that proxies append, so they
   * are never reached.
   */
  peerOf(request: IncomingMessage): ProxyPeer {
    const scheme = 'encrypted' in request.socket && request.socket.encrypted === true ? 'https' : 'http';
    const peer = plain(request.socket.remoteAddress);
    if (peer === undefined || !this.#isTrusted(peer)) return { address: peer, scheme };

    let address = peer;
    for (const hop of listOf(request.headers['x-forwarded-for']).reverse()) {
      const next = plain(hop);
      if (next === undefined || isIP(next) === 0) break;
      address = next;
      if (!this.#isTrusted(address)) break;
    }
    const proto = listOf(request.headers['x-forwarded-proto']).at(-1)?.toLowerCase();
    return { address, scheme: proto === 'https' || proto === 'http' ? proto : scheme };
  }

  #add(network: string): void {
    const [, address = '', prefix] = /^([\d.]+|[\da-f:.]+)(?:\/(\d{1,3}))?$/i.exec(network) ?? [];
    const family = isIP(address);
    const bits = family === 6 ? 128 : 32;
    if (family === 0 || Number(prefix ?? bits) > bits) {
      throw new TypeError(
        `trusted proxy ${network}: expected an address or a network, such as 127.0.0.1, 10.0.0.0/8 or ` +
          'fd00::/8',
      );
    }
    this.#list.addSubnet(address, Number(prefix ?? bits), family === 6 ? 'ipv6' : 'ipv4');
  }

  #isTrusted(address: string): boolean {
    return this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}

/** Returns the plain form of an IPv4 address that a dual-stack socket reports as IPv6. */
function plain(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

function listOf(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}
