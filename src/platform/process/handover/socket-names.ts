import { readFileSync, readlinkSync } from 'node:fs';
import { endianness } from 'node:os';
import { attempt } from '#base/attempt';

/**
 * Returns the names that a configured address may have for a socket that systemd has bound. A
 * wildcard has several. Empty when the address is unknown: the system is not Linux, or the socket
 * belongs to another network namespace.
 */
export function boundNames(fd: number): ReadonlySet<string> {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd))?.[1];
  if (inode === undefined) return new Set();
  const path = unixPath(inode);
  if (path !== undefined) return new Set([`unix:${path}`]);
  const bound = tcpAddress(inode);
  return new Set(bound === undefined ? [] : hostsFor(bound.host).map((host) => `tcp:${host}:${bound.port}`));
}

/** Hosts of a configuration that mean this address. */
function hostsFor(host: string): string[] {
  if (host === '::') return ['', '::', '0.0.0.0', '*'];
  if (host === '0.0.0.0') return ['', '0.0.0.0', '*'];
  return host === '127.0.0.1' || host === '::1' ? [host, 'localhost'] : [host];
}

function linkOf(fd: number): string {
  // On failure: not Linux, or not open: listening there reports it
  return attempt(() => readlinkSync(`/proc/self/fd/${fd}`)) ?? '';
}

/** Lines of /proc/net/unix end in `<inode> <path>`. */
function unixPath(inode: string): string | undefined {
  return new RegExp(`^\\S+ \\S+ \\S+ \\S+ \\S+ \\S+ +${inode} (.+)$`, 'm').exec(table('unix'))?.[1];
}

/** Lines of /proc/net/tcp: `sl local_address rem_address st …`; the tenth field is the inode. */
function tcpAddress(inode: string): { host: string; port: number } | undefined {
  for (const family of ['tcp', 'tcp6'] as const) {
    for (const line of table(family).split('\n')) {
      const fields = line.trim().split(/\s+/);
      const [address, port] = fields[1]?.split(':') ?? [];
      if (fields[9] !== inode || address === undefined || port === undefined) continue;
      return { host: hostOf(address), port: Number.parseInt(port, 16) };
    }
  }
  return undefined;
}

/** Decodes an address: hexadecimal words of 32 bits in the byte order of the machine. */
function hostOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1); // in its shortest form
}

function table(name: string): string {
  return attempt(() => readFileSync(`/proc/self/net/${name}`, 'latin1')) ?? '';
}
