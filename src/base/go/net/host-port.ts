import { invalidArgument } from '#base/gitaly-error';

/**
 * Splits `host:port`, `:port` or `[v6]:port`, also with a `tcp://` or `tls://` prefix, which some
 * configurations have.
 */
export function splitHostPort(address: string): { host: string; port: number } {
  const [, host, port] = /^(?:\w+:\/\/)?(?:\[([^\]]*)\]|[^:]*):(\d+)$/.exec(address) ?? [];
  if (port === undefined) throw invalidArgument(`listen tcp: address ${address}: expected HOST:PORT`);
  const plain = address.replace(/^\w+:\/\//, '');
  return { host: host ?? plain.slice(0, plain.lastIndexOf(':')), port: Number(port) };
}

/** Returns an address as in a URL: an IPv6 address gets brackets. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reports whether a host is reachable only from this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
