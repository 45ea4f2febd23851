import { GitalyError } from '#base/gitaly-error';
import { urlProblem } from '#base/go/net/url';
import { quote } from '#base/go/quote';
import type { UserInfo } from './credentials.ts';

/** A URL of a remote without credentials, which may stand in a list of processes. */
export interface RemoteUrl {
  readonly url: string;
  /** User and password that the URL had; `undefined` for none. */
  readonly userInfo: UserInfo | undefined;
}

const AUTHORITY = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@/i;

/**
 * Checks the URL of a client and takes its credentials out.
 *
 * @throws {GitalyError} without a code for an option, with Gitaly's text; INTERNAL for a text that
 *   is no URL.
 */
export function parseRemoteUrl(text: string): RemoteUrl {
  if (text.startsWith('-')) {
    const shown = quote(text.replaceAll(' ', '%20'));
    throw new GitalyError('UNKNOWN', `positional arg ${shown} cannot start with dash '-': invalid argument`);
  }
  if (text.includes('\0') || urlProblem(text) !== undefined)
    throw new GitalyError('INTERNAL', urlProblem(withoutUserInfo(text)) ?? 'invalid URL');
  const userInfo = AUTHORITY.exec(text)?.[2];
  if (userInfo === undefined || !isHttp(text)) return { url: text, userInfo: undefined };
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

function parseUserInfo(text: string): UserInfo {
  const colon = text.indexOf(':');
  if (colon === -1) return { username: decoded(text), password: undefined };
  return { username: decoded(text.slice(0, colon)), password: decoded(text.slice(colon + 1)) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no escapes, but a percent sign
  }
}
