import { quote } from '../quote.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL_CHARACTER = /[\x00-\x1f\x7f]/;

export interface ParsedUrl {
  /** In lower case. */
  readonly scheme: string;
  /** With the port, without the user. */
  readonly host: string;
  readonly path: string;
  /** The rest after the scheme when no slash follows it (`dns:host:port`). */
  readonly opaque: string;
}

/**
 * Splits a URL as `net/url` does; `undefined` for a text without a scheme. (WHATWG's `URL` rewrites
 * paths.)
 */
export function parseUrl(address: string): ParsedUrl | undefined {
  if (CONTROL_CHARACTER.test(address)) return undefined;
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)/.exec(address);
  if (match === null) return undefined;

  const [, scheme = '', authority = '', rest = ''] = match;
  const isOpaque = !address.startsWith('//', scheme.length + 1) && !rest.startsWith('/');
  return {
    scheme: scheme.toLowerCase(),
    host: authority.slice(authority.lastIndexOf('@') + 1),
    path: isOpaque ? '' : rest,
    opaque: isOpaque ? rest : '',
  };
}

/**
 * Returns the error text of `url.Parse` for a text that it refuses; `undefined` for a URL.
 * `http+unix://%2Fpath` is one, although newer versions of Go refuse it.
 */
export function urlProblem(text: string): string | undefined {
  const reason = urlReason(text);
  return reason === undefined ? undefined : `parse ${quote(text)}: ${reason}`;
}

function urlReason(text: string): string | undefined {
  if (CONTROL_CHARACTER.test(text)) return 'net/url: invalid control character in URL';
  if (text.startsWith(':')) return 'missing protocol scheme';
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(text)?.[0];
  const [rest = ''] = (scheme === undefined ? text : text.slice(scheme.length + 1)).split(/[?#]/, 1);
  if (scheme === undefined && /^[^/]*:/.test(rest)) return 'first path segment in URL cannot contain colon';
  if (scheme !== undefined && !rest.startsWith('/')) return undefined;
  const sequence = badEscape(rest);
  if (sequence !== undefined) return `invalid URL escape ${quote(sequence)}`;
  const port = /^\/\/[^/]*?(:[^/:\]@]*)(\/|$)/.exec(rest)?.[1];
  return port === undefined || /^:\d*$/.test(port) ? undefined : `invalid port ${quote(port)} after host`;
}

/** Returns the first `%` sequence that is no escape. */
export function badEscape(text: string): string | undefined {
  return /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(text)?.[0];
}
