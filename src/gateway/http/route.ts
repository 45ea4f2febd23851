import type { GitService } from '#client/git/info-refs';
import { parseRepositoryPath, type RepositoryPath } from '../repository-path.ts';
import type { Answer } from './answer.ts';
import { API_PATH, LLMS_PATH, MCP_PATH } from './api/api-path.ts';
import { BUNDLES_PATH } from './bundles/bundle-source.ts';
import { EVENTS_PATH } from './events/event-streams.ts';
import { splitLfsPath } from './lfs/lfs-route.ts';
import { PAGES_PATH } from './pages/page-source.ts';

/** A parsed request line. */
export type Route =
  | { readonly kind: 'info-refs' | 'service'; readonly service: GitService; readonly path: RepositoryPath }
  /** A bundle at a signed address. */
  | { readonly kind: 'bundle'; readonly query: string }
  /** A request of git-lfs; `rest` is what follows the part `info/lfs` of the address. */
  | { readonly kind: 'lfs'; readonly repository: string; readonly rest: string; readonly query: string }
  /** Changes of repositories as server-sent events. */
  | { readonly kind: 'events'; readonly query: string }
  /**
   * A page for people; `isTop` for the address of the gateway itself, `repository` for the address
   * that git clones.
   */
  | { readonly kind: 'page'; readonly isTop?: boolean; readonly repository?: RepositoryPath }
  /** An operation of the API. */
  | { readonly kind: 'api' }
  | { readonly kind: 'answer'; readonly answer: Answer };

/** Limit of the target's length; a repository path of full length with every byte escaped fits. */
const MAX_URL_BYTES = 8192;

export const HOW_TO = 'Use git with the address of a repository, for example: git clone http://HOST/NAME.git';
export const NO_PAGE = `There is no page at this address. ${HOW_TO}`;
const DUMB =
  'This server supports only the smart HTTP protocol, which needs git 1.6.6 or newer. Use a newer client.';
const DUMB_FILES = ['/HEAD', '/info/refs', '/info/alternates'] as const;
const DUMB_DIRECTORY = '/objects/';
const ARCHIVE_PATH = '/git-upload-archive';
const NO_ARCHIVE =
  'Archives are served over SSH: git archive --remote=ssh://git@HOST/NAME.git. Over HTTP, use git clone.';
const API_ADDRESSES: ReadonlySet<string> = new Set([MCP_PATH, LLMS_PATH]);
const SERVICE_PATH = /^\/(.*)\/(git-upload-pack|git-receive-pack)$/;
const INFO_REFS_PATH = /^\/(.*)\/info\/refs$/;

/**
 * Parses the request line. `target` is used unchanged: a URL class would resolve `..` and hide the
 * original path.
 */
export function parseRoute(method: string, target: string): Route {
  if (target.length > MAX_URL_BYTES) return refuse(414, `The address is longer than ${MAX_URL_BYTES} bytes.`);
  if (!target.startsWith('/')) return refuse(400, `The address must begin with a slash. ${HOW_TO}`);
  const [path = '', query = ''] = splitOnce(target, '?');
  if (path === '/') return { kind: 'page', isTop: true };
  if (path === PAGES_PATH || path.startsWith(`${PAGES_PATH}/`)) return { kind: 'page' };
  if (path.startsWith(`${API_PATH}/`) || API_ADDRESSES.has(path)) return { kind: 'api' };
  if (path === BUNDLES_PATH) return bundleRoute(method, query);
  if (path === EVENTS_PATH) return method === 'GET' ? { kind: 'events', query } : refuseMethod('GET');

  const infoRefs = INFO_REFS_PATH.exec(path);
  const service = SERVICE_PATH.exec(path);
  const name = new URLSearchParams(query).get('service');
  if (path.endsWith(ARCHIVE_PATH) || name === ARCHIVE_PATH.slice(1)) return refuse(403, NO_ARCHIVE);
  if (infoRefs !== null && name !== null) return infoRefsRoute(method, infoRefs[1] ?? '', name);
  if (service !== null) return serviceRoute(method, service[1] ?? '', service[2] ?? '');
  const lfs = splitLfsPath(path);
  if (lfs !== undefined) return { kind: 'lfs', ...lfs, query };
  // A repository has a name of one character at least.
  const below = path.slice('/x'.length);
  if (below.includes(DUMB_DIRECTORY) || DUMB_FILES.some((file) => below.endsWith(file)))
    return refuse(403, DUMB);
  const isRead = (method === 'GET' || method === 'HEAD') && name === null;
  const repository = isRead ? parseRepositoryPath(path.slice(1)) : undefined;
  if (typeof repository === 'string') return { kind: 'page', repository };
  return refuse(404, NO_PAGE);
}

function bundleRoute(method: string, query: string): Route {
  return method === 'GET' || method === 'HEAD' ? { kind: 'bundle', query } : refuseMethod('GET, HEAD');
}

function infoRefsRoute(method: string, path: string, name: string): Route {
  if (method !== 'GET') return refuseMethod('GET');
  if (!isGitService(name))
    return refuse(403, `The service ${JSON.stringify(name)} is not supported. ${HOW_TO}`);
  return withRepository(path, (checked) => ({ kind: 'info-refs', service: name, path: checked }));
}

function serviceRoute(method: string, path: string, name: string): Route {
  if (method !== 'POST') return refuseMethod('POST');
  if (!isGitService(name)) return refuse(403, DUMB);
  return withRepository(path, (checked) => ({ kind: 'service', service: name, path: checked }));
}

function withRepository(encoded: string, route: (path: RepositoryPath) => Route): Route {
  const path = parseRepositoryPath(encoded);
  if (typeof path === 'string') return route(path);
  return refuse(400, `${path.refusal} ${HOW_TO}`);
}

function isGitService(name: string): name is GitService {
  return name === 'git-upload-pack' || name === 'git-receive-pack';
}

function refuse(status: number, text: string): Route {
  return { kind: 'answer', answer: { status, text } };
}

function refuseMethod(allowed: string): Route {
  const text = `This address supports only ${allowed}. ${HOW_TO}`;
  return { kind: 'answer', answer: { status: 405, text, headers: { Allow: allowed } } };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
