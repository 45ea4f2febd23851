import { attempt } from '#base/attempt';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { urlProblem } from '#base/go/net/url';
import { quote } from '#base/go/quote';
import type { UserInfo } from './credentials.ts';

/** A URL of a remote without credentials, which may appear in a list of processes. */
export interface RemoteUrl {
  readonly url: string;
  /** User and password that the URL had; `undefined` for none. */
  readonly userInfo: UserInfo | undefined;
}

/** `transport::address` starts a program with the address, past all checks of the URL. */
const TRANSPORT = /^([a-z0-9][a-z0-9+.-]*)::/i;
/** git refuses other transports itself. */
const ALLOWED_TRANSPORTS: ReadonlySet<string> = new Set(['http', 'https', 'git', 'ssh', 'file']);
const AUTHORITY = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@/i;

/**
 * Checks the URL of a client and takes its credentials out.
 *
 * @throws {GitalyError} without a code for an option, with Gitaly's text; INTERNAL for a text that
 *   is no URL; INVALID_ARGUMENT for `transport::address`.
 */
export function parseRemoteUrl(text: string): RemoteUrl {
  if (text.startsWith('-')) {
    const shown = quote(text.replaceAll(' ', '%20'));
    throw new GitalyError('UNKNOWN', `positional arg ${shown} cannot start with dash '-': invalid argument`);
  }
  if (text.includes('\0') || urlProblem(text) !== undefined)
    throw new GitalyError('INTERNAL', urlProblem(withoutUserInfo(text)) ?? 'invalid URL');
  const transport = TRANSPORT.exec(text)?.[1];
  if (transport !== undefined) return { url: refusedByGit(text, transport), userInfo: undefined };
  const userInfo = AUTHORITY.exec(text)?.[2];
  if (userInfo === undefined) return { url: text, userInfo: undefined };
  // No other protocol sends a password; a user name is needed by ssh.
  if (!isHttp(text)) return { url: withoutPassword(text), userInfo: undefined };
  return { url: withoutUserInfo(text), userInfo: parseUserInfo(userInfo) };
}

/** Reports whether git speaks HTTP with a URL. */
export function isHttp(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** Returns git's error output for a log or a client: its URLs without users and passwords. */
export function withoutCredentials(stderr: string): string {
  return stderr.replaceAll(/([a-z0-9+.-]:\/\/)[^\s'"/?#]*@/gi, '$1');
}

/** Returns a URL for a log: without user and password. */
export function withoutUserInfo(url: string): string {
  return url.replace(AUTHORITY, '$1');
}

/** Returns a URL that git refuses for its transport, without credentials. @throws {GitalyError} */
function refusedByGit(text: string, transport: string): string {
  if (ALLOWED_TRANSPORTS.has(transport.toLowerCase()))
    throw invalidArgument(`transport '${transport}::' not allowed: use the URL alone`);
  return text.replace(/:\/\/[^/?#]*@/, '://');
}

function withoutPassword(url: string): string {
  return url.replace(AUTHORITY, (_all, scheme: string, userInfo: string) => {
    const [user = ''] = userInfo.split(':', 1);
    return `${scheme}${user}@`;
  });
}

function parseUserInfo(text: string): UserInfo {
  const colon = text.indexOf(':');
  if (colon === -1) return { username: decoded(text), password: undefined };
  return { username: decoded(text.slice(0, colon)), password: decoded(text.slice(colon + 1)) };
}

function decoded(text: string): string {
  // On failure: no escapes, but a percent sign
  return attempt(() => decodeURIComponent(text)) ?? text;
}
