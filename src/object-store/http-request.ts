import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from '#base/network/node-http';
import { piecesOf } from '#base/streams/byte-stream';

/** Time without any byte on a connection. */
const IDLE_TIMEOUT_MS = 60_000;
/** Largest response that is read as a whole: a page of 1000 objects has about 1 MB. */
const MAX_TEXT_BYTES = 32 * 1024 * 1024;

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces of the body. Default: none. */
  readonly body?: readonly Uint8Array[];
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

/** Connections to a service, kept for later requests. */
export interface StoreConnections {
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse>;
}

/** Returns connections to a service. @param origin such as `https://host:port`. */
export function httpConnections(origin: string): StoreConnections {
  const isTls = origin.startsWith('https:');
  const module = isTls
    ? process.getBuiltinModule('node:https')
    : { request, Agent: process.getBuiltinModule('node:http').Agent };
  const agent = new module.Agent({ keepAlive: true, timeout: IDLE_TIMEOUT_MS });
  return { send: (each, signal) => send(module.request, agent, each, signal) };
}

async function send(
  start: typeof request,
  agent: Agent,
  { method, url, headers, body = [] }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const length = body.reduce((bytes, piece) => bytes + piece.length, 0);
  const hasBody = body.length > 0 || method === 'POST' || method === 'PUT';
  const call = start(url, {
    method,
    agent,
    signal,
    timeout: IDLE_TIMEOUT_MS,
    headers: { ...headers, ...(hasBody && { 'content-length': length }) },
  });
  call.on('timeout', () => call.destroy(timeoutError()));
  const response = responseOf(call);
  for (const piece of body) call.write(piece);
  call.end();
  return await response;
}

async function responseOf(call: ClientRequest): Promise<HttpResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  call.on('response', resolve);
  call.on('error', reject); // also after the response, where it has no effect
  const body = await promise;
  return { status: body.statusCode ?? 0, headers: body.headers, body };
}

function timeoutError(): Error {
  return Object.assign(new Error('the service sent nothing for a minute'), { code: 'ETIMEDOUT' });
}

/** Reads a response as text. @throws {Error} for a response that is too long or breaks off. */
export async function readText({ body }: HttpResponse): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(body)) {
    bytes += piece.length;
    if (bytes > MAX_TEXT_BYTES) throw new Error(`the response has more than ${MAX_TEXT_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, bytes).toString();
}
