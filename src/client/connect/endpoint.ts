import { addAbortListener } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type SecureContext } from 'node:tls';
import { GitalyError } from '#base/gitaly-error';
import { joinHostPort } from '#base/go/net/host-port';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { HostAndPort } from './address.ts';

/**
 * An address to connect to. `serverName` is the name that the certificate must contain, if it is
 * not `host`.
 */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | ({ readonly kind: 'tcp'; readonly tls: boolean; readonly serverName: string } & HostAndPort);

/** TLS settings of a connection. */
export interface TlsSettings {
  readonly context: SecureContext;
  readonly serverName: string | undefined;
  readonly rejectUnauthorized: boolean;
}

/** Time limit of one connection attempt: gRPC's minimum. */
const CONNECT_TIMEOUT_MS = 20_000;
/** Errors after which the same attempt may succeed (Go calls them temporary). */
const TEMPORARY = new Set([
  'EINTR',
  'EMFILE',
  'ENFILE',
  'EAGAIN',
  'ETIMEDOUT',
  'ECONNRESET',
  'ECONNABORTED',
  'EAI_AGAIN',
]);

/** Returns a key that is equal for equal endpoints. */
export function endpointKey(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? `unix:${endpoint.path}` : joinHostPort(endpoint.host, endpoint.port);
}

/**
 * Opens a socket to an endpoint, including the TLS handshake. Ignores proxies in the environment.
 *
 * @throws {GitalyError} UNAVAILABLE with the text of grpc-go; `metadata.temporary` reports whether
 *   a retry may help.
 */
export async function openSocket(
  endpoint: Endpoint,
  { tls, signal }: { tls: TlsSettings | undefined; signal: AbortSignal },
): Promise<Socket> {
  const isTls = endpoint.kind === 'tcp' && endpoint.tls;
  const socket = startSocket(endpoint, tls);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  using _timer = setTimeout(() => reject(new Error('i/o timeout')), CONNECT_TIMEOUT_MS);
  using _abort = addAbortListener(signal, () =>
    reject(new Error('operation was canceled', { cause: signal.reason })),
  );
  socket.once('error', reject).once(isTls ? 'secureConnect' : 'connect', resolve);
  await promise.catch((error: Error) => {
    socket.destroy();
    throw connectError(endpoint, error);
  });
  // Until HTTP/2 or the multiplexer listens, errors are ignored: both also notice the close.
  socket.on('error', () => {}).off('error', reject);
  return socket.setNoDelay(true);
}

function startSocket(endpoint: Endpoint, tls: TlsSettings | undefined): Socket {
  if (endpoint.kind === 'unix') return connect({ path: endpoint.path });
  if (!endpoint.tls || tls === undefined) return connect({ host: endpoint.host, port: endpoint.port });

  const name = tls.serverName ?? endpoint.serverName;
  const options: ConnectionOptions = {
    host: endpoint.host,
    port: endpoint.port,
    secureContext: tls.context,
    rejectUnauthorized: tls.rejectUnauthorized,
  };
  // SNI does not allow an IP literal; as `host` it is still compared with the certificate.
  return connectTls(isIP(name) === 0 ? { ...options, servername: name } : options);
}

function connectError(endpoint: Endpoint, error: Error): GitalyError {
  const [network, place] =
    endpoint.kind === 'unix' ? ['unix', endpoint.path] : ['tcp', joinHostPort(endpoint.host, endpoint.port)];
  const isSystemError = systemErrorCode(error) !== undefined;
  const operation = isSystemError ? 'connect: ' : '';
  const isHandshake =
    endpoint.kind === 'tcp' && endpoint.tls && !isSystemError && error.message !== 'i/o timeout';
  const desc = isHandshake
    ? `transport: authentication handshake failed: ${withoutAdvice(error.message.trim())}`
    : `transport: Error while dialing: dial ${network} ${place}: ${operation}${systemErrorText(error)}`;

  return new GitalyError('UNAVAILABLE', `connection error: desc = "${desc}"`, {
    cause: error,
    metadata: { temporary: TEMPORARY.has(systemErrorCode(error) ?? '') || error.message === 'i/o timeout' },
  });
}

/**
 * Node's advice to use an option that has no effect here: this client trusts those certificates
 * already.
 */
const NODE_ADVICE = '; if the root CA is installed locally, try running Node.js with --use-system-ca';

function withoutAdvice(message: string): string {
  return message.endsWith(NODE_ADVICE) ? message.slice(0, -NODE_ADVICE.length) : message;
}
