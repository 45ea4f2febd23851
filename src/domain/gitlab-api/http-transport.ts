import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import tls, { createSecureContext, type SecureContext } from 'node:tls'; // see check-node.ts
import { urlToHttpOptions } from 'node:url';
import { limitedSignal } from '#base/async/limited-signal';
import { timerMs } from '#base/async/timer-ms';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { Agent as HttpAgent, request as httpRequest } from '#base/network/node-http';
import { trimmed, trimmedEnd } from '#base/trim';

/**
 * Address of the API, and the means to trust it; names follow the `[gitlab]` section of the
 * configuration.
 */
export interface HttpTransportOptions {
  /** `http://…`, `https://…` or `http+unix://…`, percent escapes allowed. */
  readonly url: string;
  /** Only used with `http+unix`; otherwise it is part of the URL. */
  readonly relativeUrlRoot?: string | undefined;
  readonly caFile?: string | undefined;
  /** Every file of this folder is trusted as well. */
  readonly caPath?: string | undefined;
  /** Our own certificate, PEM, shown to an https server that requests one. */
  readonly clientCertificate?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
  /** 0 and absent mean 300. Covers the whole exchange. */
  readonly readTimeoutSeconds?: number | undefined;
}

export interface HttpExchange {
  readonly method: 'GET' | 'POST';
  /** Starts with a slash; is appended to the URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Sends the request again if the server has closed the connection that an earlier one left. */
  readonly isIdempotent: boolean;
  readonly signal: AbortSignal;
}

export interface ApiResponse {
  readonly status: number;
  readonly contentType: string | undefined;
  /** The server's clock, in whole seconds. */
  readonly date: Date | undefined;
  readonly body: Buffer;
}

/** Sends one request. Rejects with the error that broke the exchange. */
export type HttpTransport = (exchange: HttpExchange) => Promise<ApiResponse>;

const UNIX_PREFIX = 'http+unix://';
const DEFAULT_TIMEOUT_SECONDS = 300;
/**
 * The requests of one change follow each other at once, so they share a connection. Servers keep
 * idle ones for some seconds: a shorter time makes it unlikely that a request is sent on a
 * connection that the server closes at this moment, which would fail the change.
 */
const KEPT_CONNECTIONS = { keepAlive: true, timeout: 1000 } as const;
// Answers have a few hundred bytes; a faulty server must not fill the memory.
const MAX_ANSWER_BYTES = 16 << 20;

/**
 * Prepares the way to the API. Certificates are read here, once.
 *
 * @throws {Error} `unknown GitLab URL prefix`; `cannot find cafile "X": cafile not found`
 */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const url = decodeURIComponent(options.url);
  const timeoutMs = timeoutOf(options);
  const send = sender(url, options);
  return async (exchange) => {
    using limited = limitedSignal(timeoutMs, exchange.signal);
    for (;;) {
      try {
        return await exchangeOnce(send, exchange, limited.signal);
      } catch (error) {
        // Each attempt takes one of the kept connections, until there is none.
        if (!(error instanceof ClosedConnectionError && exchange.isIdempotent)) throw error;
      }
    }
  };
}

/** A response whose body is still arriving. Destroy the body unless it is read to its end. */
export interface HttpDownload {
  readonly status: number;
  readonly body: IncomingMessage;
}

/** As {@link createHttpTransport}, for bodies of any size, and without a second attempt. */
export function createHttpDownloads(
  options: HttpTransportOptions,
): (exchange: Omit<HttpExchange, 'isIdempotent'>) => Promise<HttpDownload> {
  const send = sender(decodeURIComponent(options.url), options);
  const timeoutMs = timeoutOf(options);
  return async (exchange) => {
    const signal = AbortSignal.any([exchange.signal, AbortSignal.timeout(timeoutMs)]);
    const body = await responseTo(send, exchange, signal);
    return { status: body.statusCode ?? 0, body };
  };
}

type Sender = (path: string, options: RequestOptions) => ReturnType<typeof httpRequest>;

function sender(url: string, options: HttpTransportOptions): Sender {
  if (url.startsWith(UNIX_PREFIX)) {
    const socketPath = url.slice(UNIX_PREFIX.length);
    const root = trimmed(options.relativeUrlRoot ?? '', '/');
    const below = requestsBelow(root === '' ? 'http://unix' : `http://unix/${root}`);
    const agent = new HttpAgent(KEPT_CONNECTIONS);
    return (path, request) => httpRequest({ ...below(path), ...request, agent, socketPath });
  }
  if (url.startsWith('http://')) {
    const below = requestsBelow(url);
    const agent = new HttpAgent(KEPT_CONNECTIONS);
    return (path, request) => httpRequest({ ...below(path), ...request, agent });
  }
  if (url.startsWith('https://')) {
    const below = requestsBelow(url);
    // A context holds all trusted certificates: to make one for each request takes milliseconds.
    // Sessions are not resumed, so that each connection checks the server's certificate.
    const secureContext = secureContextOf(options);
    const agent = new HttpsAgent({ ...KEPT_CONNECTIONS, secureContext, maxCachedSessions: 0 });
    return (path, request) => httpsRequest({ ...below(path), ...request, agent });
  }
  throw new Error('unknown GitLab URL prefix');
}

/** Returns a function that throws for an invalid URL, so that the request fails. */
function requestsBelow(url: string): (path: string) => RequestOptions {
  let parsed: RequestOptions | undefined;
  return (path) => {
    parsed ??= urlToHttpOptions(new URL(url));
    const { protocol, hostname, port, auth, path: root } = parsed;
    return { protocol, hostname, port, auth, path: trimmedEnd(root ?? '', '/') + path };
  };
}

function secureContextOf({ caFile, caPath, clientCertificate }: HttpTransportOptions): SecureContext {
  const extra: Buffer[] = [];
  if (caFile) extra.push(readCaFile(caFile));
  if (caPath) {
    for (const entry of readdirSync(caPath, { withFileTypes: true })) {
      if (!entry.isDirectory()) extra.push(readFileSync(join(caPath, entry.name)));
    }
  }
  const known = new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')]);
  const ca = [...known, ...extra];
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ca,
    ...(clientCertificate && { cert: clientCertificate.cert, key: clientCertificate.key }),
  });
}

function readCaFile(caFile: string): Buffer {
  try {
    statSync(caFile);
    return readFileSync(caFile);
  } catch (error) {
    const reason = systemErrorCode(error) === 'ENOENT' ? 'cafile not found' : systemErrorText(error);
    throw new Error(`cannot find cafile ${quote(caFile)}: ${reason}`, { cause: error });
  }
}

function timeoutOf({ readTimeoutSeconds }: HttpTransportOptions): number {
  return timerMs((readTimeoutSeconds || DEFAULT_TIMEOUT_SECONDS) * 1000);
}

/** Codes of Node's “socket hang up”, too, which is not the system's. */
const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

/** A server has closed a kept connection instead of responding. */
class ClosedConnectionError extends Error {}

async function responseTo(
  send: Sender,
  exchange: Omit<HttpExchange, 'isIdempotent'>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = send(exchange.path, {
    method: exchange.method,
    headers: exchange.headers,
    signal,
  });
  request.once('response', resolve);
  request.on('error', (error: NodeJS.ErrnoException) => {
    const isClosed = request.reusedSocket && CLOSED.has(error.code ?? '');
    reject(isClosed ? new ClosedConnectionError(error.message, { cause: error }) : error);
  });
  request.end(exchange.body);
  return await promise;
}

async function exchangeOnce(send: Sender, exchange: HttpExchange, signal: AbortSignal): Promise<ApiResponse> {
  const response = await responseTo(send, exchange, signal);
  const body = await bodyOf(response);
  return {
    status: response.statusCode ?? 0,
    contentType: response.headers['content-type'],
    date: dateOf(response.headers.date),
    body,
  };
}

/** Reads a body. An iterator of the stream takes longer than the rest of a small one. */
async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) response.destroy(new Error('answer too large'));
    else chunks.push(chunk);
  });
  response.on('end', resolve);
  response.on('error', reject); // also an answer that ends early
  await promise;
  return Buffer.concat(chunks);
}

function dateOf(header: string | undefined): Date | undefined {
  const time = Date.parse(header ?? '');
  return Number.isNaN(time) ? undefined : new Date(time);
}
