import { isIP } from 'node:net';
import { invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ConfigPair } from '#git/command/config';
import { withoutUserInfo } from './remote-url.ts';

/** A URL, and the settings that make git connect to a given address for it. */
export interface PinnedUrl {
  readonly url: string;
  readonly config: readonly ConfigPair[];
  readonly env: Readonly<Record<string, string>>;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443', git: '9418' };
/** curl might resolve another spelling of the name. */
const HOST_NAME = /^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])$/i;

/**
 * Makes git connect to an address that the client has checked, instead of looking the host up
 * again: its name might lead to another address by then.
 *
 * @param address empty for no pinning.
 * @throws {GitalyError} INVALID_ARGUMENT with Gitaly's texts.
 */
export function pinAddress(url: string, address: string): PinnedUrl {
  if (address === '') return { url, config: [], env: {} };
  if (isIP(address) === 0) throw invalidArgument('resolved address has invalid IPv4/IPv6 address');
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(url);
  if (match === null) return pinScpLike(url, address);
  const [, name = '', authority = '', rest = ''] = match;
  const scheme = name.toLowerCase();
  if (scheme === 'ssh')
    return { url: `ssh://${userOf(authority)}${bracketed(address)}${rest}`, config: [], env: {} };
  const defaultPort = DEFAULT_PORTS[scheme];
  if (defaultPort === undefined)
    throw invalidArgument(`invalid protocol/URL encountered: ${withoutUserInfo(url)}`);

  const [, host = '', port = defaultPort] =
    /^(.*?)(?::(\d*))?$/.exec(authority.slice(authority.lastIndexOf('@') + 1)) ?? [];
  const effectivePort = port === '' ? defaultPort : port;
  requirePinnable(host, address);
  // Whether curl compares names with the final dot depends on its version.
  const names = new Set([host, host.replace(/\.$/, '')].map((each) => each.toLowerCase()));
  const config = [...names].map((each) => ({
    key: 'http.curloptResolve',
    value: `${each}:${effectivePort}:${address}`,
  }));
  if (scheme !== 'git') return { url, config, env: {} };
  // curl does not take part in git's own protocol.
  const env = { GIT_OVERRIDE_VIRTUAL_HOST: `${host}:${effectivePort}` };
  return { url: `git://${bracketed(address)}:${effectivePort}${rest}`, config, env };
}

/** Replaces the host of `user@host:path`. */
function pinScpLike(url: string, address: string): PinnedUrl {
  const colon = url.indexOf(':');
  if (colon === -1) throw invalidArgument(`invalid protocol/URL encountered: ${url}`);
  if (url.slice(0, colon).includes('/'))
    throw invalidArgument("SSH URLs with '/' before colon are unsupported");
  const authority = url.slice(0, colon);
  return { url: `${userOf(authority)}${bracketed(address)}${url.slice(colon)}`, config: [], env: {} };
}

/** A host that is an address is never looked up, so it must be the right one. */
function requirePinnable(host: string, address: string): void {
  if (!HOST_NAME.test(host)) throw invalidArgument(`invalid host: ${quote(host)}`);
  const literal = literalOf(host);
  if (literal !== undefined && literal !== literalOf(bracketed(address)))
    throw invalidArgument('resolved address differs from the address in the URL');
}

/** Returns the address that a host is in any notation, in one notation; `undefined` for a name. */
function literalOf(host: string): string | undefined {
  const parsed = URL.parse(`http://${host}/`)?.hostname.replace(/^\[|\]$|\.$/g, '');
  return parsed !== undefined && isIP(parsed) !== 0 ? parsed : undefined;
}

function userOf(authority: string): string {
  return authority.slice(0, authority.lastIndexOf('@') + 1);
}

function bracketed(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}
