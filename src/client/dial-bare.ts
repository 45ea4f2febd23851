import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { joinHostPort } from '#base/go/net/host-port';
import { quote } from '#base/go/quote';
import type { ChannelOptions, OpenSession } from '#rpc/common/grpc/grpc-channel';
import { BareConnection } from './bare-connection.ts';
import { type CallHost, startCall } from './call/call.ts';
import { CallMetadata } from './call/call-metadata.ts';
import { connectHint } from './call/error-hint.ts';
import { DEFAULT_RETRY_POLICY } from './call/retry.ts';
import { tokenCredentials } from './call/token-credentials.ts';
import { type HostAndPort, parseAddress, type Target } from './connect/address.ts';
import { Balancer, type StartResolver } from './connect/balancer.ts';
import { type AddressWatcher, DnsResolver } from './connect/dns-resolver.ts';
import type { Endpoint, TlsSettings } from './connect/endpoint.ts';
import { type Multiplexing, openTransport, type TransportOptions } from './connect/transport.ts';
import { trustedCertificates } from './connect/trusted-certificates.ts';
import { waitUntilReady } from './connect/wait-until-ready.ts';
import type { DialOptions, TlsOptions } from './dial-options.ts';

/** Interval of Gitaly's clients; its servers refuse more than one ping every 10 s. */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** Options that the public ones do not have. */
export interface BareDialOptions extends DialOptions {
  /** Opens the HTTP/2 sessions. Default: those of `node:http2`. */
  readonly openSession?: OpenSession;
  /** Opens the connection instead of a socket: to a server in this process. */
  readonly connect?: (() => Duplex) | undefined;
}

/**
 * Dials like `dial`, without the services' functions, and with options for the contents of the
 * socket.
 */
export async function dialBare(
  address: string,
  options: BareDialOptions = {},
  multiplexing?: Multiplexing,
): Promise<BareConnection> {
  const target = parseAddress(address);
  const balancer = await createBalancer(target, options, multiplexing);
  const connection = createConnection(
    address,
    { ...options, isSidechannelUnused: multiplexing?.isSidechannelUnused },
    balancer,
  );
  if (options.failOnNonTemporaryDialError !== true) return connection;

  try {
    await waitUntilReady(balancer, {
      ...(options.signal && { signal: options.signal }),
      failOnNonTemporaryError: true,
    });
    return connection;
  } catch (error) {
    await connection.close();
    const hint = connectHint(address, messageOf(error));
    throw wrap(error, `failed to dial ${quote(address)} connection`, 'UNAVAILABLE', { hint });
  }
}

async function createBalancer(
  target: Target,
  options: BareDialOptions,
  multiplexing: Multiplexing | undefined,
): Promise<Balancer> {
  const transport: TransportOptions = {
    tls: target.tls ? await tlsSettings(options.tls ?? {}) : undefined,
    multiplexing,
    connect: options.connect,
    pingsOnlyWhenHeld: options.keepalive !== false && options.keepalive?.withoutCalls === false,
    channel: {
      authority: authorityOf(target),
      isSecure: target.tls,
      userAgent: 'gitaly-ts',
      ...(options.keepalive === false ? {} : keepalive(options.keepalive)),
      ...(options.maxReceiveMessageBytes === undefined
        ? {}
        : { maxReceiveMessageBytes: options.maxReceiveMessageBytes }),
      ...(options.openSession === undefined ? {} : { openSession: options.openSession }),
    },
  };
  return new Balancer({
    open: (endpoint, signal) => openTransport(endpoint, signal, transport),
    resolver: resolverFor(target, options),
    policy: options.loadBalancing,
    maxBackoffMs: options.maxConnectBackoffMs,
    maxTransports: multiplexing === undefined ? options.maxChannels : 1,
  });
}

/**
 * Returns the authority as Gitaly's Go client does: for `dns+tls:` only the name, which proxies use
 * for routing.
 */
function authorityOf(target: Target): string {
  if (target.kind === 'unix') return 'localhost';
  return target.kind === 'dns' && target.tls ? target.host : joinHostPort(target.host, target.port);
}

function resolverFor(target: Target, options: DialOptions): StartResolver {
  switch (target.kind) {
    case 'unix':
      return fixedEndpoint({ kind: 'unix', path: target.path });
    case 'host':
      return fixedEndpoint({
        kind: 'tcp',
        host: target.host,
        port: target.port,
        tls: target.tls,
        serverName: target.host,
      });
    case 'dns':
      return (balancer) => {
        const toEndpoint = (place: HostAndPort): Endpoint => ({
          kind: 'tcp',
          tls: target.tls,
          serverName: target.host,
          ...place,
        });
        const watcher: AddressWatcher = {
          onAddresses: (addresses) => balancer.setEndpoints(addresses.map(toEndpoint)),
          onError: (error) =>
            balancer.setError(new GitalyError('UNAVAILABLE', error.message, { cause: error })),
        };
        return new DnsResolver(target, watcher, options.dnsResolver);
      };
  }
}

function fixedEndpoint(endpoint: Endpoint): StartResolver {
  return (balancer) => {
    balancer.setEndpoints([endpoint]);
    return { lookAgain: () => {}, [Symbol.dispose]: () => {} };
  };
}

function createConnection(
  address: string,
  options: DialOptions & Pick<CallHost, 'isSidechannelUnused'>,
  balancer: Balancer,
): BareConnection {
  const host: CallHost = {
    address,
    balancer,
    metadata: new CallMetadata({
      ...options,
      credentials: options.credentials ?? (options.token ? tokenCredentials(options.token) : undefined),
    }),
    retryPolicy: options.retry === false ? undefined : { ...DEFAULT_RETRY_POLICY, ...options.retry },
    defaultTimeoutMs: options.defaultTimeoutMs,
    isSidechannelUnused: options.isSidechannelUnused,
  };
  return new BareConnection({
    address,
    interceptors: options.interceptors ?? [],
    startCall: (invocation) => startCall(host, invocation),
    state: () => balancer.state,
    waitForReady: (waiting) => waitUntilReady(balancer, waiting),
    close: () => balancer.close(),
  });
}

function keepalive({ timeMs, timeoutMs }: Exclude<DialOptions['keepalive'], false> = {}): ChannelOptions {
  return {
    keepaliveMs: timeMs ?? KEEPALIVE_MS,
    keepaliveTimeoutMs: timeoutMs ?? KEEPALIVE_TIMEOUT_MS,
  };
}

async function tlsSettings(options: TlsOptions): Promise<TlsSettings> {
  const ca = options.ca ?? (await trustedCertificates());
  const context: SecureContextOptions = {
    ca: typeof ca === 'string' || Buffer.isBuffer(ca) ? ca : [...ca],
    minVersion: options.minVersion ?? 'TLSv1.2',
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
  };
  return {
    context: createSecureContext(context),
    serverName: options.serverName,
    rejectUnauthorized: options.rejectUnauthorized ?? true,
  };
}
