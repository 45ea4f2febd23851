import type { GitService } from '#client/git/info-refs';
import { parseRepositoryPath, type RepositoryPath } from '../repository-path.ts';
import type { Answer } from './answer.ts';

/** What a request asks for. */
export type Route =
  | { readonly kind: 'info-refs' | 'service'; readonly service: GitService; readonly path: RepositoryPath }
  | { readonly kind: 'answer'; readonly answer: Answer };

/** Longer targets are refused; a repository path of full length with every byte escaped fits. */
const MAX_URL_BYTES = 8192;

const HOW_TO = 'Use git with the address of a repository, for example: git clone http://HOST/NAME.git';
const DUMB = 'This server speaks the smart HTTP protocol only, which git has had since 1.6.6. Use a newer client.';
const DUMB_PATH = /^\/(.+)\/(HEAD|info\/refs|objects\/.*|info\/alternates)$/;
/** What git-lfs shows is the message. @see git-lfs: docs/api/batch.md, 'Response errors' */
const NO_LFS: Answer = {
  status: 501,
  text: JSON.stringify({ message: 'This server has no Git LFS. Store large files elsewhere: git config lfs.url URL' }),
  headers: { 'Content-Type': 'application/vnd.git-lfs+json' },
};
const LFS_PATH = /^\/(.+)\/info\/lfs(\/.*)?$/;
const SERVICE_PATH = /^\/(.*)\/(git-upload-pack|git-receive-pack)$/;
const INFO_REFS_PATH = /^\/(.*)\/info\/refs$/;

/** Reads the request line. `target` is taken as it came: a URL class would resolve `..` and hide what was asked. */
export function parseRoute(method: string, target: string): Route {
  if (target.length > MAX_URL_BYTES) return refuse(414, `The address is longer than ${MAX_URL_BYTES} bytes.`);
  if (!target.startsWith('/')) return refuse(400, `The address must begin with a slash. ${HOW_TO}`);
  const [path = '', query = ''] = splitOnce(target, '?');
  if (path === '/') return refuse(200, `This is a Git server. ${HOW_TO}`);

  const infoRefs = INFO_REFS_PATH.exec(path);
  const service = SERVICE_PATH.exec(path);
  const name = new URLSearchParams(query).get('service');
  if (infoRefs !== null && name !== null) return infoRefsRoute(method, infoRefs[1] ?? '', name);
  if (service !== null) return serviceRoute(method, service[1] ?? '', service[2] ?? '');
  if (LFS_PATH.test(path)) return { kind: 'answer', answer: NO_LFS };
  if (DUMB_PATH.test(path)) return refuse(403, DUMB);
  return refuse(404, `There is nothing to see at this address. ${HOW_TO}`);
}

function infoRefsRoute(method: string, path: string, name: string): Route {
  if (method !== 'GET') return refuseMethod('GET');
  if (!isGitService(name)) return refuse(403, `The service ${JSON.stringify(name)} is not offered. ${HOW_TO}`);
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
  const text = `Only ${allowed} works at this address. ${HOW_TO}`;
  return { kind: 'answer', answer: { status: 405, text, headers: { Allow: allowed } } };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
