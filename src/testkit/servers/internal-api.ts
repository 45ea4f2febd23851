import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { checkNames } from '#base/check-names';
import { createServer } from '#base/network/node-http';
import { TEST_CERTIFICATE, TEST_KEY } from '../fixtures/test-certificate.ts';

/** A recorded request of the server. */
export interface InternalApiCall {
  readonly method: string;
  /** Path below `/api/v4/internal`, with the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A GitLab internal API on loopback or on a Unix socket. */
export interface InternalApi extends AsyncDisposable {
  /** Value for `[gitlab] url`. */
  readonly url: string;
  /** Key of the tokens, value for `[gitlab] secret`. */
  readonly secret: string;
  /** Requests in order of arrival, since the last reset. */
  readonly calls: readonly InternalApiCall[];
  /**
   * Clears the requests and sets the responses `[status, body, content type?]` by path without
   * query. A string body is sent unchanged, any other as JSON; {@link HANG_UP} closes the
   * connection instead. A function is called for each request and may be asynchronous. Paths
   * without a response allow everything.
   */
  reset(answers?: Readonly<Record<string, unknown>>): void;
}

export interface InternalApiOptions {
  readonly socketPath?: string;
  /** Path prefix of the API, `/gitlab`. */
  readonly root?: string;
  /** Serves TLS with {@link TEST_CERTIFICATE}. */
  readonly tls?: boolean;
}

/** A response that closes the connection. */
export const HANG_UP = Symbol('hang up');

const PREFIX = '/api/v4/internal';
const ALLOW: Readonly<Record<string, unknown>> = {
  '/allowed': [200, { status: true }],
  '/pre_receive': [200, { reference_counter_increased: true }],
  '/post_receive': [200, { reference_counter_decreased: true, messages: [] }],
  '/check': [200, { gitlab_version: '19.0.0', gitlab_revision: 'abc', api_version: 'v4', redis: true }],
};

/** Starts a real HTTP server that responds like GitLab's internal API and records its requests. */
export async function startInternalApi(options: InternalApiOptions = {}): Promise<InternalApi> {
  checkNames('startInternalApi', options, { socketPath: true, root: true, tls: true });
  const { root = '', socketPath, tls = false } = options;
  const prefix = root + PREFIX;
  let calls: InternalApiCall[] = [];
  let answers: Readonly<Record<string, unknown>> = {};
  const answerTo = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.startsWith(prefix)
      ? request.url.slice(prefix.length)
      : `outside ${request.url}`;
    const body = (await buffer(request)).toString();
    const call = { method: request.method ?? '', path, headers: request.headers, body };
    calls.push(call);
    const known = answers[path.split('?', 1)[0] ?? ''];
    const answer = (typeof known === 'function' ? await known(call) : known) ?? ALLOW[path] ?? [404, {}];
    if (answer === HANG_UP) {
      request.socket.destroy();
      return;
    }
    const [status, content, type = 'application/json'] = Array.isArray(answer) ? answer : [500, 'no answer'];
    response.writeHead(Number(status), type === '' ? {} : { 'content-type': String(type) });
    response.end(typeof content === 'string' ? content : JSON.stringify(content));
  };
  const server = tls
    ? createTlsServer({ cert: readFileSync(TEST_CERTIFICATE), key: readFileSync(TEST_KEY) }, answerTo)
    : createServer(answerTo);
  if (socketPath === undefined) server.listen(0, '127.0.0.1');
  else server.listen(socketPath);
  await once(server, 'listening');
  const address = server.address();
  const onLoopback = address !== null && typeof address !== 'string';
  return {
    url: onLoopback
      ? `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}${root}`
      : `http+unix://${encodeURIComponent(socketPath ?? '')}`,
    secret: 'internal-api-secret',
    get calls() {
      return calls;
    },
    reset(next = {}) {
      calls = [];
      answers = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
