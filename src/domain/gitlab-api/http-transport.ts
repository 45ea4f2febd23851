import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { getCACertificates, type SecureContextOptions } from 'node:tls';
import { quote } from '#base/quote';
import { systemErrorCode, systemErrorText } from '#base/system-error';

/** Where the API is and how to trust it; names follow the `[gitlab]` section of the configuration. */
export interface HttpTransportOptions {
  /** `http://…`, `https://…` or `http+unix://…`, percent escapes allowed. */
  readonly url: string;
  /** Only used with `http+unix`; otherwise it is part of the URL. */
  readonly relativeUrlRoot?: string | undefined;
  readonly caFile?: string | undefined;
  /** Every file of this folder is trusted as well. */
  readonly caPath?: string | undefined;
  /** Our own certificate, PEM, shown to an https server that asks for one. */
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
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

/** Sends one request on a connection of its own. Rejects with whatever broke the exchange. */
export type HttpTransport = (exchange: HttpExchange) => Promise<HttpAnswer>;

const UNIX_PREFIX = 'http+unix://';
const DEFAULT_TIMEOUT_SECONDS = 300;
const MAX_ANSWER_BYTES = 16 << 20; // answers are a few hundred bytes; a runaway server must not fill our memory

/**
 * Prepares the way to the API. Certificates are read here, once.
 *
 * @throws {Error} `unknown GitLab URL prefix`; `cannot find cafile "X": cafile not found`
 */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const url = decodeURIComponent(options.url);
  const timeoutMs = (options.readTimeoutSeconds || DEFAULT_TIMEOUT_SECONDS) * 1000;
  const send = sender(url, options);
  return (exchange) => exchangeOnce(send, exchange, AbortSignal.any([exchange.signal, AbortSignal.timeout(timeoutMs)]));
}

type Sender = (path: string, options: RequestOptions) => ReturnType<typeof httpRequest>;

function sender(url: string, options: HttpTransportOptions): Sender {
  if (url.startsWith(UNIX_PREFIX)) {
    const socketPath = url.slice(UNIX_PREFIX.length);
    const root = options.relativeUrlRoot?.replace(/^\/+|\/+$/g, '') ?? '';
    const base = root === '' ? 'http://unix' : `http://unix/${root}`;
    return (path, request) => httpRequest(base + path, { ...request, socketPath });
  }
  const base = url.replace(/\/+$/, '');
  if (url.startsWith('http://')) return (path, request) => httpRequest(base + path, request);
  if (url.startsWith('https://')) {
    const trust = secureOptions(options);
    return (path, request) => httpsRequest(base + path, { ...request, ...trust });
  }
  throw new Error('unknown GitLab URL prefix');
}

function secureOptions({ caFile, caPath, clientCertificate }: HttpTransportOptions): SecureContextOptions {
  const extra: Buffer[] = [];
  if (caFile) extra.push(readCaFile(caFile));
  if (caPath) {
    for (const entry of readdirSync(caPath, { withFileTypes: true })) {
      if (!entry.isDirectory()) extra.push(readFileSync(join(caPath, entry.name)));
    }
  }
  const ca = [...getCACertificates('default'), ...getCACertificates('system'), ...extra];
  return { minVersion: 'TLSv1.2', ca, ...(clientCertificate && { cert: clientCertificate.cert, key: clientCertificate.key }) };
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

async function exchangeOnce(send: Sender, exchange: HttpExchange, signal: AbortSignal): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = send(exchange.path, { method: exchange.method, headers: exchange.headers, agent: false, signal });
  request.once('response', resolve);
  request.on('error', reject);
  request.end(exchange.body);
  const response = await promise;

  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes: Buffer = chunk;
    size += bytes.length;
    if (size > MAX_ANSWER_BYTES) throw new Error('answer too large');
    chunks.push(bytes);
  }
  return { status: response.statusCode ?? 0, contentType: response.headers['content-type'], body: Buffer.concat(chunks) };
}
