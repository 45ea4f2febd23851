import type { IncomingMessage } from 'node:http';
import { type RequestOptions as HttpsRequestOptions, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { GitalyError, invalidArgument, messageOf, wrap } from '#base/gitaly-error';
import { urlProblem } from '#base/go/net/url';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { request as httpRequest, STATUS_CODES } from '#base/network/node-http';
import { piecesOf } from '#base/streams/byte-stream';
import { withoutUserInfo } from './remote-url.ts';
import { OUTGOING_LIMITS } from './run-outgoing.ts';

export interface Download {
  readonly url: string;
  /** Address to connect to instead of looking the host up; empty for none. */
  readonly resolvedAddress: string;
  /** Value of the Authorization header; empty for none. */
  readonly authorization: string;
  readonly signal: AbortSignal;
  /** Default: as Gitaly for the first, five minutes for the second. */
  readonly timeouts?: DownloadTimeouts;
}

export interface DownloadTimeouts {
  /** From the call to the header of the response. @see Gitaly: 30 s each to connect and to respond */
  readonly headerMs: number;
  /** Between two pieces of the body. */
  readonly idleMs: number;
}

const TIMEOUTS: DownloadTimeouts = { headerMs: 60_000, idleMs: 300_000 };

/**
 * Yields the body of a web server's response. Redirects are not followed. Leaving the loop ends the
 * request.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a URL or address that is none; INTERNAL
 *   `HTTP request failed: …`, `HTTP server: 404 Not Found`; with Gitaly's texts.
 */
export async function* download(download: Download): AsyncGenerator<Buffer> {
  const url = checkedUrl(download);
  const { headerMs, idleMs } = download.timeouts ?? TIMEOUTS;
  const signal = AbortSignal.any([download.signal, AbortSignal.timeout(OUTGOING_LIMITS.maxMs)]);
  const response = await send(url, { ...download, signal }, headerMs).catch((error: unknown) => {
    if (signal.aborted) throw signal.reason;
    const what = `Get ${quote(withoutUserInfo(download.url))}: ${networkProblem(error, url)}`;
    throw wrap(new Error(what, { cause: error }), 'HTTP request failed');
  });
  try {
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode > 299)
      throw new GitalyError(
        'INTERNAL',
        `HTTP server: ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`.trim(),
      );
    response.socket.setTimeout(idleMs, () => response.destroy(new Error('the server sends nothing')));
    yield* piecesOf(response);
  } finally {
    response.destroy();
  }
}

function checkedUrl({ url: text, resolvedAddress }: Download): URL {
  const shown = withoutUserInfo(text);
  if (urlProblem(text) !== undefined)
    throw invalidArgument(`Bad HTTP URL: ${urlProblem(shown) ?? 'invalid user or password'}`);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase() ?? '';
  if (resolvedAddress !== '' && isIP(resolvedAddress) === 0)
    throw unusable(`invalid resolved address ${quote(resolvedAddress)}`);
  const url = URL.parse(text);
  if (url !== null && (scheme === 'http' || scheme === 'https')) return url;
  if (resolvedAddress !== '') throw unusable(`unsupported schema ${quote(scheme)}`);
  const reason = `Get ${quote(shown)}: unsupported protocol scheme ${quote(scheme)}`;
  throw new GitalyError('INTERNAL', `HTTP request failed: ${reason}`);
}

function unusable(reason: string): GitalyError {
  return invalidArgument(`creating resolved HTTP client: ${reason}`);
}

async function send(
  url: URL,
  { resolvedAddress, authorization, signal }: Download,
  headerMs: number,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const to = resolvedAddress === '' ? {} : pinned(url, resolvedAddress);
  const options: HttpsRequestOptions = {
    agent: false, // one connection, closed afterwards
    signal,
    ...to,
    headers: { ...to.headers, ...(authorization !== '' && { authorization }) },
  };
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options);
  using _timer = setTimeout(() => request.destroy(new Error('timeout awaiting response headers')), headerMs);
  request.on('response', resolve).on('error', reject).end();
  return await promise;
}

/**
 * Connects to the address, whatever host the URL has: Node would not look up one that is an
 * address. The host is still that of the Host header and of the certificate.
 */
function pinned({ host, hostname, protocol }: URL, address: string): HttpsRequestOptions {
  const name = hostname.replace(/^\[|\]$/g, '');
  const secure: HttpsRequestOptions = {
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_address, certificate) => checkServerIdentity(name, certificate),
  };
  return { hostname: address, headers: { host }, ...(protocol === 'https:' && secure) };
}

/** Describes a failed request as Go does. */
function networkProblem(error: unknown, { hostname, port, protocol }: URL): string {
  const code = systemErrorCode(error);
  if (code === undefined) return messageOf(error);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${hostname}: no such host`;
  const effectivePort = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  return `dial tcp ${hostname}:${effectivePort}: connect: ${systemErrorText(error)}`;
}
