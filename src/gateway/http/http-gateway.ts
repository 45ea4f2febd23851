import { checkNames, type NamesOf, namesIn } from '#base/check-names';
import { isLoopback } from '#base/go/net/host-port';
import { Acceptor } from '../acceptor.ts';
import type { CreateOnPushOptions } from '../create-on-push.ts';
import type { GatewayFamily, SharedGateway } from '../family.ts';
import { type GitalyAddress, linkGitaly } from '../gitaly-link.ts';
import type { ListenAddress } from '../listen.ts';
import type { ApiOptions } from './api/api-server.ts';
import { type BundleOptions, openBundleSource } from './bundles/bundle-source.ts';
import type { EventOptions } from './events/event-streams.ts';
import { HttpConnections } from './http-connections.ts';
import type { LfsFinder } from './lfs/lfs-server.ts';
import { type LfsStoreOptions, openLfsStore } from './lfs/lfs-store.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './limits/http-limits.ts';
import { gatewayState } from './limits/http-state.ts';
import { RequestServer, type RequestServerOptions } from './request-server.ts';
import type { TlsFiles } from './tls-server.ts';

export interface HttpGatewayOptions
  extends Omit<RequestServerOptions, 'bundles' | 'lfs' | 'link' | 'limits' | 'state'> {
  readonly gitaly: GitalyAddress;
  readonly listen: ListenAddress;
  /** Certificate for HTTPS; changed files are loaded within seconds. Default: plain HTTP. */
  readonly tls?: TlsFiles;
  readonly limits?: Partial<HttpLimits>;
  /**
   * Bundles for clones, served at `/-/bundles`: `base_url` of Gitaly's bucket. Default: none.
   */
  readonly bundles?: BundleOptions;
  /** The store of Git LFS. Default: LFS is not served. */
  readonly lfs?: LfsStoreOptions;
  /**
   * Called for problems that an operator should fix while the gateway runs: a changed certificate
   * that is invalid, connections that cannot be accepted.
   */
  readonly onProblem?: (error: unknown) => void;
}

const LISTEN_NAMES: NamesOf<ListenAddress> = { host: true, port: true };
const TLS_NAMES: NamesOf<TlsFiles> = { certificatePath: true, keyPath: true };
const BUNDLE_NAMES: NamesOf<BundleOptions> = { url: true, secretKeyPath: true };
const LFS_NAMES: NamesOf<LfsStoreOptions> = { url: true, tokenKeyPath: true };
const API_NAMES: NamesOf<ApiOptions> = { storage: true, origins: true };
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
  api: API_NAMES,
  bundles: BUNDLE_NAMES,
  lfs: LFS_NAMES,
  events: EVENT_NAMES,
  pages: true, // an object with functions
  onProblem: true,
  onFailure: true,
  onAccess: true,
};

/** A running gateway. */
export interface HttpGateway extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT` or `https://HOST:PORT` */
  readonly url: string;
  /** Loads a changed certificate now. Otherwise it is loaded within seconds. */
  renewTls(): Promise<void>;
  /** Loads a changed certificate and changed users now. */
  reload(): Promise<void>;
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
  return await openHttpGateway(options);
}

/** A gateway of a server that can have several processes. */
export interface SharedHttpGateway extends HttpGateway, SharedGateway {
  readonly lfs: LfsFinder | undefined;
}

/**
 * Starts a gateway of a server that can have several processes.
 *
 * @throws as {@link startHttpGateway}.
 */
export async function openHttpGateway(
  options: HttpGatewayOptions,
  family?: GatewayFamily,
): Promise<SharedHttpGateway> {
  const { host } = options.listen;
  const { onProblem = () => {}, tls } = options;
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const link = await linkGitaly(options.gitaly, STREAM_WINDOW_BYTES);
  await using opening = new AsyncDisposableStack();
  opening.use(link);
  const { api, bundles, lfs, ...others } = options;
  const isProtected = options.authenticator !== undefined || isLoopback(host);
  const requests = new RequestServer({
    ...others,
    ...(api && isProtected && { api }),
    ...(bundles && { bundles: await openBundleSource(bundles) }),
    ...(lfs && { lfs: await openLfsStore(lfs) }),
    hosts: [inUrl(host), ...(options.hosts ?? [])],
    limits,
    link,
    state: family?.state ?? gatewayState(limits),
  });
  const http = await HttpConnections.open({ requests, limits, tls, onProblem });
  opening.defer(() => http.close());
  const acceptor = new Acceptor({
    limits: { maxConnections: limits.maxConnections },
    allowHalfOpen: true,
    serve: (socket) => http.serve(socket),
    refuse: (socket) => socket.destroy(),
    sharing: family?.sharing,
  });
  const isWorker = family?.sharing.role === 'worker';
  const port = isWorker ? options.listen.port : await acceptor.listen(options.listen, onProblem);

  const resources = opening.move();
  const close = async ({ graceMs = 0 }: { graceMs?: number } = {}) => {
    requests.endStreams();
    await closeConnections(acceptor, http, graceMs);
    await resources.disposeAsync();
  };
  return {
    host,
    port,
    url: `${tls === undefined ? 'http' : 'https'}://${inUrl(host)}:${port}`,
    renewTls: http.renewTls,
    reload: async () => void (await Promise.all([http.renewTls(), options.authenticator?.reload?.()])),
    close,
    [Symbol.asyncDispose]: () => close(),
    lfs: requests.lfs,
    receive: (socket) => acceptor.receive(socket),
    get connections() {
      return acceptor.connections;
    },
  };
}

/** Returns a host as URLs and `Host` headers have it. */
function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * Interval for closing idle connections during a close; nothing else closes a connection that a
 * finished request leaves open.
 */
const CLOSE_IDLE_EVERY_MS = 20;

async function closeConnections(acceptor: Acceptor, http: HttpConnections, graceMs: number): Promise<void> {
  const closed = acceptor.close();
  http.closeIdle();
  const idle = setInterval(() => http.closeIdle(), CLOSE_IDLE_EVERY_MS);
  const cut = setTimeout(() => acceptor.destroy(), graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
