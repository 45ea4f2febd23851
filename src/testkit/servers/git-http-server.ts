import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { GIT_ENVIRONMENT } from '../repositories/run-git.ts';

/** A request that the server received. */
export interface HttpCall {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly authorization?: string;
  readonly host: string;
  readonly 'git-protocol'?: string;
}

/**
 * A web server on loopback with repositories, behind the paths of the recordings:
 *
 * | path | response |
 * |---|---|
 * | `/r/X` | repository X, also for pushes |
 * | `/auth/X` | the same, for user `user` with password `pass`, or the bearer token `tok` |
 * | `/redir/X` | 302 to `/r/X` |
 * | `/s/N/…` | status N |
 * | `/files/F` | a file |
 * | any other path of {@link reset} | the response that was set |
 */
export interface GitHttpServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  /** Requests in order of arrival, since the last reset. */
  readonly calls: readonly HttpCall[];
  /** Clears the requests and sets the files below `/files/`, and other responses by path. */
  reset(files?: Readonly<Record<string, Uint8Array>>, others?: Readonly<Record<string, Answer>>): void;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const ALLOWED = new Set([`Basic ${Buffer.from('user:pass').toString('base64')}`, 'Bearer tok']);

/** Starts the server. @param root directory of the repositories. */
export async function startGitHttpServer(root: string): Promise<GitHttpServer> {
  let calls: HttpCall[] = [];
  let files: Readonly<Record<string, Uint8Array>> = {};
  let others: Readonly<Record<string, Answer>> = {};
  const server = createServer((request, response) => {
    calls.push(callOf(request));
    const other = others[request.url ?? ''];
    if (other !== undefined) other(request, response);
    else respond(root, files, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    get calls() {
      return calls;
    },
    reset(newFiles = {}, newOthers = {}) {
      [calls, files, others] = [[], newFiles, newOthers];
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function callOf({ method = '', url = '', headers }: IncomingMessage): HttpCall {
  const protocol = headers['git-protocol'];
  return {
    method,
    path: url,
    ...(headers.authorization !== undefined && { authorization: headers.authorization }),
    host: headers.host ?? '',
    ...(typeof protocol === 'string' && { 'git-protocol': protocol }),
  };
}

async function respond(
  root: string,
  files: Readonly<Record<string, Uint8Array>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, kind = '', rest = ''] = /^\/([^/]*)\/?(.*)$/s.exec(request.url ?? '') ?? [];
  if (kind === 'r') return await serveGit(root, `/${rest}`, request, response);
  if (kind === 'auth') {
    if (ALLOWED.has(request.headers.authorization ?? ''))
      return await serveGit(root, `/${rest}`, request, response);
    return end(response, 401, { 'www-authenticate': 'Basic realm="git"' });
  }
  if (kind === 'redir') return end(response, 302, { location: `/r/${rest}` });
  if (kind === 's') return end(response, Number.parseInt(rest, 10));
  const file = kind === 'files' ? files[rest] : undefined;
  if (file === undefined) return end(response, 404);
  response.writeHead(200, { 'content-length': file.length }).end(file);
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end(status === 204 ? undefined : `${STATUS_CODES[status]}\n`);
}

/** Runs `git http-backend` as a CGI program. */
async function serveGit(
  root: string,
  pathAndQuery: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = '', query = ''] = pathAndQuery.split('?');
  const header = (name: string): string => String(request.headers[name] ?? '');
  const backend = spawn('git', ['http-backend'], {
    env: {
      ...process.env,
      ...GIT_ENVIRONMENT,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'user',
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: query,
      CONTENT_TYPE: header('content-type'),
      ...(request.headers['content-length'] !== undefined && { CONTENT_LENGTH: header('content-length') }),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      GIT_PROTOCOL: header('git-protocol'),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  response.on('close', () => backend.kill());
  backend.stdin.on('error', () => {}); // it need not read everything
  request.pipe(backend.stdin);
  await pipeline(
    backend.stdout,
    async function* (source) {
      let head: Buffer | undefined = Buffer.alloc(0);
      for await (const chunk of source) {
        if (head === undefined) {
          yield chunk;
          continue;
        }
        head = Buffer.concat([head, chunk]);
        const at = head.indexOf('\r\n\r\n');
        if (at === -1) continue;
        writeCgiHead(response, head.toString('latin1', 0, at));
        yield head.subarray(at + 4);
        head = undefined;
      }
    },
    response,
  );
}

function writeCgiHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const [name = '', value = ''] = line.split(/:\s*/, 2);
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
