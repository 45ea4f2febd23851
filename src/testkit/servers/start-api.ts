import type { ApiOperation } from '#gateway/http/api/operation';
import { type HttpGatewayOptions, startHttpGateway, storageMapping } from '#gateway/index';
import { startGitaly, type TestGitaly } from '../start-gitaly.ts';
import type { TestRepository } from '../test-repository.ts';

/** An answer of the API. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The JSON document of the answer; `undefined` for any other one. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields that it expects
  readonly json: any;
}

export interface ApiRequest {
  readonly body?: unknown;
  readonly bytes?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
}

/** A gateway with the API in front of a server with the repository `team/app.git`. */
export interface TestApi extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly url: string;
  readonly repository: TestRepository;
  /** Sends a request. @param address below that of the repository, unless it begins with a slash. */
  send(method: string, address: string, request?: ApiRequest): Promise<ApiAnswer>;
  /** Calls a tool of the Model Context Protocol; the answer is that of HTTP. */
  callTool(name: string, given: unknown, token?: string): Promise<ApiAnswer>;
}

export const API_REPOSITORY = '/repositories/team%2Fapp';

/** Returns the arguments of an operation's example as a tool. */
export function exampleArguments({ example, path }: ApiOperation): Record<string, unknown> {
  const { body, parameters, query } = example;
  const repository = path.includes('{repository}') ? { repository: 'team/app' } : {};
  return { ...repository, ...parameters, ...query, ...(typeof body === 'object' && body) };
}

/** Starts the API. Its repository has three commits, and a branch `topic` with two more. */
export async function startApi(options: Partial<HttpGatewayOptions> = {}): Promise<TestApi> {
  const gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ relativePath: 'team/app.git' });
  await repository.commit({ files: { 'README.md': '# App\n', 'src/a.txt': 'one\ntwo\n' }, message: 'Start' });
  await repository.commit({ files: { 'src/a.txt': 'one\ntwo\nthree\n' }, message: 'Count further\n\nBody.' });
  await repository.branch('topic', 'main');
  await repository.commit({ files: { 'b.txt': 'main\n' }, message: 'Add b' });
  await repository.commit({ branch: 'topic', files: { 'c.txt': 'c\n' }, message: 'Add c' });
  await repository.commit({ branch: 'topic', files: { 'd.txt': 'd\n' }, message: 'Add d' });
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    api: { storage: 'default' },
    ...options,
  });
  const url = `${gateway.url}/-/api/v1`;
  return {
    gitaly,
    url,
    repository,
    send: (method, address, request) =>
      send(method, `${url}${address.startsWith('/') ? '' : `${API_REPOSITORY}/`}${address}`, request),
    callTool: (name, given, token) => {
      const params = { name, arguments: given };
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params };
      return send('POST', `${gateway.url}/-/mcp`, { body, token });
    },
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}

async function send(
  method: string,
  url: string,
  { body, bytes, headers, token }: ApiRequest = {},
): Promise<ApiAnswer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...(bytes !== undefined && { 'Content-Type': 'application/octet-stream' }),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(bytes !== undefined && { body: bytes }),
  });
  const received = Buffer.from(await response.arrayBuffer());
  const isJson = /json$/.test(response.headers.get('content-type') ?? '') && received.length > 0;
  const isLines = response.headers.get('content-type') === 'application/x-ndjson';
  return {
    status: response.status,
    headers: response.headers,
    bytes: received,
    json: isJson && !isLines ? (JSON.parse(received.toString()) as unknown) : undefined,
  };
}
