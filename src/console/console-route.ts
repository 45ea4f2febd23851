import { percentDecoded } from '#base/network/percent-decoded';
import { PAGES_PATH } from '#gateway/http/pages/page-source';

/** Address of the console, below that of the gateway. */
export const CONSOLE_PATH = PAGES_PATH;

/** A parsed address of the console. */
export type ConsoleRoute =
  | { readonly kind: 'page'; readonly name: ServerPage }
  | { readonly kind: 'asset'; readonly name: string }
  | {
      readonly kind: 'repository';
      /** Path in the storage, as the address has it: it is not checked. */
      readonly path: string;
      readonly view: RepositoryView;
      /** The part after the view: a file's path, a commit's id. Paths of git need not be UTF-8. */
      readonly rest: Buffer;
    }
  /** The address of another page, which is meant. */
  | { readonly kind: 'moved'; readonly to: string };

const SERVER_PAGES = [
  'overview',
  'repositories',
  'cluster',
  'running',
  'slow',
  'webhooks',
  'mirrors',
  'account',
  'sign-in',
] as const;
export type ServerPage = (typeof SERVER_PAGES)[number];

const VIEWS = [
  'files',
  'raw',
  'archive',
  'blame',
  'commits',
  'commit',
  'compare',
  'branches',
  'tags',
  'pushes',
  'search',
  'lfs',
  'storage',
  'archived',
  'settings',
] as const;
export type RepositoryView = (typeof VIEWS)[number];

const REPOSITORY = `${CONSOLE_PATH}/repository/`;
const ASSETS = `${CONSOLE_PATH}/assets/`;
/** Between the path of a repository and the view. */
const SEPARATOR = '/-/';
const NOTHING = Buffer.alloc(0);

/** Parameters of an address; empty ones are left out. */
export type Query = Readonly<Record<string, string>>;

/**
 * Parses the path of an address, without its query. Returns `undefined` if there is no such page.
 */
export function parseConsoleRoute(path: string): ConsoleRoute | undefined {
  if (path === CONSOLE_PATH || path === `${CONSOLE_PATH}/`)
    return { kind: 'moved', to: `${CONSOLE_PATH}/overview` };
  if (path.startsWith(ASSETS)) return { kind: 'asset', name: path.slice(ASSETS.length) };
  if (path.startsWith(REPOSITORY)) return repositoryRoute(path.slice(REPOSITORY.length));
  const name = SERVER_PAGES.find((page) => path === `${CONSOLE_PATH}/${page}`);
  return name && { kind: 'page', name };
}

function repositoryRoute(encoded: string): ConsoleRoute | undefined {
  const at = encoded.indexOf(SEPARATOR);
  const path = percentDecoded(at === -1 ? encoded : encoded.slice(0, at))?.toString();
  const [name = '', ...others] = at === -1 ? ['files'] : encoded.slice(at + SEPARATOR.length).split('/');
  const rest = percentDecoded(others.join('/'));
  const view = VIEWS.find((each) => each === name);
  if (path === undefined || path === '' || rest === undefined || view === undefined) return undefined;
  if (rest.includes(0)) return undefined; // no name in git has it
  return { kind: 'repository', path, view, rest };
}

/** Reports whether an address is that of a file or an archive, which may be big. */
export function isFileAddress(target: string): boolean {
  const route = parseConsoleRoute(target.split('?', 1)[0] ?? '');
  return route?.kind === 'repository' && (route.view === 'raw' || route.view === 'archive');
}

/** Returns the address of a view of a repository. */
export function repositoryAddress(
  path: string,
  view: RepositoryView,
  { rest = NOTHING, query = {} }: { readonly rest?: Uint8Array | string; readonly query?: Query } = {},
): string {
  const below = rest.length === 0 ? '' : `/${encodePath(rest)}`;
  return withQuery(`${REPOSITORY}${encodePath(path)}${SEPARATOR}${view}${below}`, query);
}

/** Returns an address with the parameters that are not empty. */
export function withQuery(address: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  return given.length === 0 ? address : `${address}?${new URLSearchParams(given)}`;
}

/** Characters of a path that an address encodes: all but those of RFC 3986, 'unreserved', and slashes. */
const ENCODED = /[^A-Za-z0-9\-._~/]/g;

function encodePath(path: Uint8Array | string): string {
  return Buffer.from(path)
    .toString('latin1')
    .replace(ENCODED, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
