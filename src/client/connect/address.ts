import { isIP } from 'node:net';
import { type GitalyError, invalidArgument } from '#base/gitaly-error';
import { type ParsedUrl, parseUrl } from '#base/go/net/url';
import { quote } from '#base/go/quote';

/** Port of a target without one (gRPC's default). */
export const DEFAULT_PORT = 443;
const DEFAULT_NAME_SERVER_PORT = 53;

export interface HostAndPort {
  /** Name or IP literal, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * A parsed address. `tls` means that the connection is encrypted; `host` is then the server's name.
 */
export type Target =
  | { readonly kind: 'unix'; readonly path: string; readonly tls: false }
  | ({ readonly kind: 'host'; readonly tls: boolean } & HostAndPort)
  | ({
      readonly kind: 'dns';
      readonly tls: boolean;
      readonly nameServer: HostAndPort | undefined;
    } & HostAndPort);

/**
 * Parses an address: `unix:PATH`, `tcp://HOST:PORT`, `tls://HOST:PORT`,
 * `dns:[//SERVER[:PORT]/]HOST[:PORT]` and `dns+tls:…`. Resolves and opens nothing.
 *
 * @throws {GitalyError} INVALID_ARGUMENT with the texts of Gitaly's Go client, which callers match.
 */
export function parseAddress(address: string): Target {
  const url = parseUrl(address);
  switch (url?.scheme) {
    case 'unix':
      return unixTarget(address, url);
    case 'tcp':
    case 'tls':
      return remoteTarget(url, url.scheme);
    case 'dns':
    case 'dns+tls':
      return dnsTarget(url, url.scheme);
    default:
      throw invalid(`invalid connection string: ${quote(address)}`, hintFor(url?.scheme));
  }
}

function unixTarget(address: string, url: ParsedUrl): Target {
  if (url.host !== '') {
    throw invalid(`failed to dial ${quote(address)} connection: invalid (non-empty) authority: ${url.host}`);
  }
  const path = url.path === '' ? url.opaque : url.path;
  if (path === '') throw invalid(`failed to dial ${quote(address)} connection: no socket path`);
  return { kind: 'unix', path, tls: false };
}

function remoteTarget(url: ParsedUrl, scheme: 'tcp' | 'tls'): Target {
  const refuse = (reason: string) => invalid(`failed to extract host for '${scheme}' connection: ${reason}`);
  if (url.path !== '') throw refuse(`remote addresses should not have a path: ${quote(url.path)}`);
  if (url.host === '') throw refuse('remote addresses should have a host');

  return { kind: 'host', tls: scheme === 'tls', ...parseHostPort(url.host, DEFAULT_PORT, refuse) };
}

function dnsTarget(url: ParsedUrl, scheme: 'dns' | 'dns+tls'): Target {
  const refuse = (reason: string) => invalid(`failed to parse target for '${scheme}' connection: ${reason}`);
  const name = url.path === '' ? url.opaque : url.path.replace(/^\//, '');
  const nameServer = url.host === '' ? undefined : parseHostPort(url.host, DEFAULT_NAME_SERVER_PORT, refuse);

  return { kind: 'dns', tls: scheme === 'dns+tls', nameServer, ...parseHostPort(name, DEFAULT_PORT, refuse) };
}

/**
 * Splits a host and a port by the rules of gRPC's DNS resolver: IPv6 in brackets if a port follows;
 * an empty host means this machine.
 */
function parseHostPort(
  text: string,
  defaultPort: number,
  refuse: (reason: string) => GitalyError,
): HostAndPort {
  if (text === '') throw refuse('dns resolver: missing address');
  if (isIP(text) !== 0) return { host: text, port: defaultPort };

  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text);
  if (match === null)
    throw refuse(`dns resolver: address ${text}:${defaultPort}: too many colons in address`);
  const [, bracketed, plain, port] = match;
  if (port === '') throw refuse('dns resolver: missing port after port-separator colon');

  return {
    host: bracketed || plain || 'localhost',
    port: port === undefined ? defaultPort : parsePort(port, refuse),
  };
}

function parsePort(text: string, refuse: (reason: string) => GitalyError): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65535)) throw refuse(`address :${text}: invalid port`);
  return port;
}

/** Callers match the message: the hint is not in it. */
function invalid(message: string, hint?: string): GitalyError {
  return invalidArgument(message, { hint });
}

function hintFor(scheme: string | undefined): string | undefined {
  return scheme === 'http' || scheme === 'https'
    ? "This is an address for HTTP: dial the server's listen_addr, tcp://HOST:PORT or tls://HOST:PORT."
    : undefined;
}
