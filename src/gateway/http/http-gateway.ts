import type { Server, ServerOptions } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkNames, type NamesOf, namesIn } from '#base/check-names';
import { framingProblem, refuseFraming } from '#base/http-framing';
import { createServer } from '#base/node-http';
import type { CreateOnPushOptions } from '../create-on-push.ts';
import { type GitalyAddress, linkGitaly } from '../gitaly-link.ts';
import { type ListenAddress, listen } from '../listen.ts';
import { type BundleOptions, openBundleSource } from './bundles/bundle-source.ts';
import { answerClientError } from './client-error.ts';
import type { EventOptions } from './events/event-streams.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './limits/http-limits.ts';
import { RequestServer, type RequestServerOptions } from './request-server.ts';
import { createTlsServer, type TlsFiles } from './tls-server.ts';

export interface HttpGatewayOptions extends Omit<RequestServerOptions, 'bundles' | 'link' | 'limits'> {
  readonly gitaly: GitalyAddress;
  readonly listen: ListenAddress;
  /** Certificate for HTTPS; changed files are loaded within seconds. Default: plain HTTP. */
  readonly tls?: TlsFiles;
  readonly limits?: Partial<HttpLimits>;
  /**
   * Bundles for clones, served at `/-/bundles`: `base_url` of Gitaly's bucket. Default: none.
   */
  readonly bundles?: BundleOptions;
  /**
   * Called for problems that an operator should fix while the gateway runs: a changed certificate
   * that is invalid, connections that cannot be accepted.
   */
  readonly onProblem?: (error: unknown) => void;
}

const LISTEN_NAMES: NamesOf<ListenAddress> = { host: true, port: true };
const TLS_NAMES: NamesOf<TlsFiles> = { certificatePath: true, keyPath: true };
const BUNDLE_NAMES: NamesOf<BundleOptions> = { url: true, secretKeyPath: true };
const EVENT_NAMES: NamesOf<EventOptions> = { storage: true };
const CREATE_NAMES: NamesOf<CreateOnPushOptions> = { objectFormat: true };
const NAMES: NamesOf<HttpGatewayOptions> = {
  gitaly: true, // may be a server of the test kit
  listen: LISTEN_NAMES,
  mapping: true,
  authenticator: true,
  trustedProxies: true,
  hosts: true,
  createOnPush: CREATE_NAMES,
  tls: TLS_NAMES,
  limits: namesIn(DEFAULT_HTTP_LIMITS),
  bundles: BUNDLE_NAMES,
  events: EVENT_NAMES,
  pages: true, // an object with functions
  onProblem: true,
  onFailure: true,
};

/** A running gateway. */
export interface HttpGateway extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT` or `https://HOST:PORT` */
  readonly url: string;
  /** Loads a changed certificate now. Otherwise it is loaded within seconds. */
  renewTls(): Promise<void>;
  /**
   * Accepts no new connections, waits `graceMs` for running requests, and then closes the remaining
   * connections.
   */
  close(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Needs fewer window updates and wake-ups for a clone than the 256 KiB of Gitaly's own clients;
 * bounds the memory of one clone.
 */
const STREAM_WINDOW_BYTES = 1024 * 1024;

/**
 * Starts a smart-HTTP gateway in front of a Gitaly, for plain `git clone`, `fetch` and `push`. Like
 * Workhorse it uses only Gitaly's RPCs.
 *
 * @throws the system's error when it cannot listen at the address (EADDRINUSE …), the error of an
 *   invalid certificate, {TypeError} for a trusted proxy that is not a network and for an option
 *   that does not exist, with the nearest name.
 */
export async function startHttpGateway(options: HttpGatewayOptions): Promise<HttpGateway> {
  checkNames('startHttpGateway', options, NAMES);
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const link = await linkGitaly(options.gitaly, STREAM_WINDOW_BYTES);
  let created: CreatedServer;
  let requests: RequestServer;
  try {
    const hosts = [inUrl(options.listen.host), ...(options.hosts ?? [])];
    const { bundles, ...others } = options;
    const source = bundles && { bundles: await openBundleSource(bundles) };
    requests = new RequestServer({ ...others, ...source, hosts, limits, link });
    created = await createHttpServer(requests, limits, options);
    await listen(created.server, options.listen, options.onProblem ?? (() => {}));
  } catch (error) {
    await link.connection.close();
    throw error;
  }

  const { renewTls, server } = created;
  // A listening TCP server has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const { host } = options.listen;
  const close = async ({ graceMs = 0 }: { graceMs?: number } = {}) => {
    requests.endStreams();
    await closeServer(server, graceMs);
    await link.connection.close();
  };
  const scheme = options.tls === undefined ? 'http' : 'https';
  const url = `${scheme}://${inUrl(host)}:${port}`;
  return { host, port, url, renewTls, close, [Symbol.asyncDispose]: () => close() };
}

/** Returns a host as URLs and `Host` headers have it. */
function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

interface CreatedServer {
  readonly server: Server | TlsServer;
  renewTls(): Promise<void>;
}

async function createHttpServer(
  requests: RequestServer,
  limits: HttpLimits,
  { onProblem = () => {}, tls }: HttpGatewayOptions,
): Promise<CreatedServer> {
  const options: ServerOptions = {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: 0, // a body has its own limits, which distinguish a slow client from a slow server
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5000),
  };
  const handshake = { handshakeTimeout: limits.headersTimeoutMs };
  const { renewTls, server }: CreatedServer =
    tls === undefined
      ? { server: createServer(options), renewTls: () => Promise.resolve() }
      : await createTlsServer({ ...tls, server: { ...options, ...handshake }, onProblem });
  server.maxConnections = limits.maxConnections;
  server.setTimeout(limits.idleTimeoutMs);

  const answering = new WeakSet<Duplex>();
  const serve = async (
    ...[request, response, sendContinue]: Parameters<RequestServer['serve']>
  ): Promise<void> => {
    answering.add(request.socket);
    const problem = framingProblem(request);
    if (problem !== undefined) return refuseFraming(response, problem);
    response.once('close', () => answering.delete(request.socket));
    await requests.serve(request, response, sendContinue);
  };
  server.on('request', (request, response) => void serve(request, response, () => {}));
  server.on(
    'checkContinue',
    (request, response) => void serve(request, response, () => response.writeContinue()),
  );
  server.on('clientError', (error, socket) => answerClientError(error, socket, answering.has(socket)));
  return { server, renewTls };
}

/**
 * Interval for closing idle connections during a close; nothing else closes a connection that a
 * finished request leaves open.
 */
const CLOSE_IDLE_EVERY_MS = 20;

async function closeServer(server: Server | TlsServer, graceMs: number): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
