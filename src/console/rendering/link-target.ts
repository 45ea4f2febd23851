import { posix } from 'node:path';

/** Where links in a text that name files of the repository point to. */
export interface LinkTarget {
  /** Address of the directory of the text, which ends in a slash. */
  readonly base: string;
  /** Query of files, with its question mark; or empty. */
  readonly query: string;
}

/** End of the address of a repository's files. */
const FILES = '/-/files/';
const RAW = '/-/raw/';
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

/** Returns the address that a link of a text leads to. */
export function addressOf(url: string, target: LinkTarget): string {
  if (SCHEME.test(url) || url.startsWith('#')) return url;
  return url.startsWith('//') ? `https:${url}` : addressOfFile(url, target, FILES);
}

/** Returns the address of a picture of the repository; `undefined` for one of another host. */
export function rawAddressOf(url: string, target: LinkTarget): string | undefined {
  if (url === '' || SCHEME.test(url) || url.startsWith('#') || url.startsWith('//')) return undefined;
  return addressOfFile(url, target, RAW);
}

function addressOfFile(url: string, { base, query }: LinkTarget, view: string): string {
  const [path = ''] = asBrowsersRead(url).split(/[?#]/, 1);
  // The root of the address is the root of the repository's files, so that links cannot leave them.
  const at = base.indexOf(FILES);
  const directory = base.slice(at + FILES.length - 1);
  const place = posix.resolve(directory, path.startsWith('/') ? path : `./${path}`);
  return `${base.slice(0, at)}${view.slice(0, -1)}${place}${query}`;
}

/**
 * Returns an address without other spellings of dots and slashes, which browsers resolve, too.
 *
 * @see URL Standard, 'double-dot path segment' and 'basic URL parser'.
 */
function asBrowsersRead(url: string): string {
  return url
    .replaceAll(/[\t\n\r]/g, '')
    .replaceAll(/%2e/gi, '.')
    .replaceAll('\\', '/');
}
