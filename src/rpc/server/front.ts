import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { joinHostPort } from '#base/go/net/host-port';
import type { Secret } from '#base/secret';
import { RequestFlags, type RequestFlagsOptions } from '#platform/flags/feature-flags';
import type { Logger } from '#platform/log/logger';
import type { TransferMetrics } from '#platform/metrics/cache-metrics';
import type { GitalyMetrics } from '#platform/metrics/gitaly-metrics';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { MonitoringServer, MonitoringServerOptions } from '#platform/metrics/monitoring-server';
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import type { ClientSession, CommonHeaders } from '#rpc/common/grpc/client-session';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import type { ContextExtras } from './call-context.ts';
import { Arrivals } from './connection/arrivals.ts';
import type { Backchannels } from './connection/backchannels.ts';
import { followCertificate } from './connection/certificate.ts';
import { connectionProblems } from './connection/connection-problems.ts';
import { demultiplex } from './connection/demultiplexer.ts';
import type { ConnectionSharing, Listener, ListenerOptions } from './connection/listener.ts';
import { LocalConnections } from './connection/local-connections.ts';
import { type ListenConfig, listenAddresses, openListeners } from './connection/open-listeners.ts';
import { openCallSidechannel } from './connection/open-sidechannel.ts';
import { startMonitoring } from './connection/start-monitoring.ts';
import type { FaultInjector } from './fault-injector.ts';
import { GrpcServer, type GrpcServerOptions } from './grpc-server.ts';
import type { Peer } from './handler.ts';
import { connectionTrust } from './interceptors/authentication.ts';

export interface FrontConfig extends ListenConfig {
  readonly auth: { readonly token: Secret | undefined };
  readonly prometheusListenAddr: string | undefined;
}

export interface FrontMetrics {
  readonly registry: MetricsRegistry;
  readonly callers: Pick<GitalyMetrics, 'connection' | 'connectionError'>;
  readonly transfers: TransferMetrics;
}

export interface FrontOptions extends Pick<GrpcServerOptions, 'services' | 'interceptors' | 'unknownMethod'> {
  readonly config: FrontConfig;
  readonly logger: Logger;
  readonly metrics: FrontMetrics;
  /** Needs no token on Unix sockets. */
  readonly trustsUnixSockets?: boolean;
  /** Sessions of multiplexed connections, for calls and sidechannels in the other direction. */
  readonly backchannels: Backchannels<GrpcChannel>;
  /** Content of `/debug/top`, `/-/ready` and further endpoints of the monitoring server. */
  readonly monitoring: Pick<MonitoringServerOptions, 'problems' | 'status' | 'further' | 'others'>;
  /** Notified of each feature flag that a call looks up. */
  readonly onFlagChecked?: RequestFlagsOptions['onChecked'];
  /** Path of a socket for calls of the server's own child processes. A drain ends them last. */
  readonly internalSocket?: string;
  /** Returns the socket of an address if this process has inherited one. */
  readonly takeSocket?: TakeSocket | undefined;
  /** How the processes of this server share its connections, if there can be several. */
  readonly sharing?: ConnectionSharing | undefined;
  readonly faults?: FaultInjector | undefined;
}

/** Addresses for clients; one that is not configured is `undefined`. */
export interface FrontAddresses {
  /** `unix:<path>`. */
  readonly unix: string | undefined;
  /** `tcp://host:port`. */
  readonly tcp: string | undefined;
  /** `tls://host:port`. */
  readonly tls: string | undefined;
}

const LOCAL_PEER: Peer = { transport: 'unix', address: '', backchannelId: undefined, isLocal: true };

/** The caller limits the time of a drain. This is setTimeout's maximum. */
const NO_LIMIT_MS = 2_147_483_647;

/**
 * The part of a server that clients reach: its listeners, the connections on them and the
 * monitoring server. Disposing aborts all calls and closes everything.
 */
export class Front implements AsyncDisposable {
  readonly addresses: FrontAddresses;
  /** `http://host:port` of the monitoring server; `undefined` if there is none. */
  readonly monitoringAddress: string | undefined;
  readonly #acceptors: Acceptors;
  readonly #listeners: readonly Listener[];
  readonly #local: LocalConnections;
  readonly #monitoring: MonitoringServer | undefined;
  readonly #state: { isReady: boolean };
  readonly #resources: AsyncDisposableStack;

  private constructor(opened: {
    acceptors: Acceptors;
    listeners: readonly Listener[];
    local: LocalConnections;
    monitoring: MonitoringServer | undefined;
    state: { isReady: boolean };
    resources: AsyncDisposableStack;
  }) {
    this.addresses = addressesOf(opened.listeners);
    this.#acceptors = opened.acceptors;
    this.#listeners = opened.listeners;
    this.#local = opened.local;
    this.#monitoring = opened.monitoring;
    this.#state = opened.state;
    this.#resources = opened.resources;
    const { address, port } = opened.monitoring?.address ?? {};
    this.monitoringAddress =
      address === undefined || port === undefined ? undefined : `http://${joinHostPort(address, port)}`;
  }

  /**
   * Opens the sockets and serves calls. If a step fails, the earlier ones are undone.
   *
   * @throws {Error} that describes the problem: a socket in use, an unreadable certificate.
   */
  static async open(options: FrontOptions): Promise<Front> {
    const { config, internalSocket, logger, metrics, monitoring: shown, takeSocket, sharing } = options;
    await using opening = new AsyncDisposableStack();
    const acceptors = opening.use(createAcceptors(options));
    const listeners = await openListeners(listenAddresses(config, internalSocket), {
      logger,
      options: { ...acceptors.accepting, ...(takeSocket && { takeSocket }), sharing },
    });
    const local = opening.use(new LocalConnections(acceptors.accepting));
    opening.defer(async () => {
      for (const listener of listeners) await listener.destroy();
    });
    opening.use(await followCertificate(config.tls, listeners, logger));
    const state = { isReady: false };
    const monitoringAddress = sharing?.role === 'worker' ? undefined : config.prometheusListenAddr;
    const monitoring = await startMonitoring(monitoringAddress, logger, {
      ...shown,
      registry: metrics.registry,
      isReady: () => state.isReady,
      takeSocket,
    });
    if (monitoring !== undefined) opening.adopt(monitoring, (running) => running.close());
    state.isReady = true;
    return new Front({ acceptors, listeners, local, monitoring, state, resources: opening.move() });
  }

  /**
   * Opens a connection from this process, which counts as one over a Unix socket, and returns the
   * client's end. Bytes do not pass through the system.
   *
   * @throws {Error} when the server stops.
   */
  connect(): Duplex {
    return this.#local.open();
  }

  /**
   * Opens a session of a client in this process, for calls without sidechannels. They count as over
   * a Unix socket.
   *
   * @throws {Error} when the server stops.
   */
  openSession(common: CommonHeaders): ClientSession {
    this.#acceptors.accepting.onAccept?.('unix');
    return this.#acceptors.external.openSession(common, LOCAL_PEER);
  }

  /** Serves a connection that another process of this server has accepted. */
  receive(socket: Socket, transport: string): void {
    const listener = this.#listeners.find((each) => each.transport === transport);
    if (listener === undefined) socket.destroy();
    else listener.receive(socket);
  }

  /**
   * Ends the busiest connection gracefully, so that its client opens another one, which may reach
   * another process. @see GrpcServer.moveConnection
   */
  moveConnection(which: 'of several' | 'any'): boolean {
    return this.#acceptors.external.moveConnection(which);
  }

  /** Calls that run, and open connections, without those of our own child processes. */
  get load(): { readonly calls: number; readonly connections: number } {
    const { activeCalls: calls, connections } = this.#acceptors.external;
    return { calls, connections };
  }

  /** The listening sockets for a successor: all but the internal one, which only children use. */
  get sockets(): readonly ListeningSocket[] {
    return [...this.#listeners, ...(this.#monitoring === undefined ? [] : [this.#monitoring])]
      .map(({ socket }) => socket)
      .filter((socket) => socket !== undefined);
  }

  /** Stops accepting calls from outside and waits for the running ones, without a limit. */
  async drain(): Promise<void> {
    this.#state.isReady = false;
    this.#local.stop();
    const external = this.#listeners.filter(({ transport }) => transport !== 'internal');
    await Promise.all(external.map((listener) => listener.stopForDrain()));
    const { arrivals, external: server } = this.#acceptors;
    await server.shutdown({ graceMs: NO_LIMIT_MS, arriving: arrivals.drain() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** The gRPC servers of a front, and how connections reach them. Disposing aborts all calls. */
interface Acceptors extends AsyncDisposable {
  /** For calls from outside. */
  readonly external: GrpcServer;
  /** Connections from outside that no server has yet. */
  readonly arrivals: Arrivals;
  readonly accepting: ListenerOptions;
}

function createAcceptors(options: FrontOptions): Acceptors {
  const { backchannels, faults, internalSocket, interceptors, logger, metrics, services } = options;
  const problems = connectionProblems(metrics, logger);
  const serverOptions: GrpcServerOptions = {
    services,
    ...(interceptors && { interceptors }),
    ...(options.unknownMethod && { unknownMethod: options.unknownMethod }),
    contextExtras: contextExtras(options),
    onConnectionError: problems.onConnectionError,
  };
  const external = new GrpcServer(serverOptions);
  // Calls of hooks get a separate server, because the calls that a drain waits for need them.
  const internal = internalSocket === undefined ? undefined : new GrpcServer(serverOptions);
  const arrivals = new Arrivals();
  const { trustsUnixSockets = false } = options;
  const isTrusted = connectionTrust({ ...options.config.auth, trustsUnixSockets });
  const accepting: ListenerOptions = {
    onAccept: (transport) => transport !== 'internal' && metrics.callers.connection(transport).inc(),
    onAcceptError: problems.onAcceptError,
    onConnection: (connection, peer) =>
      void demultiplex(connection, peer, {
        backchannels,
        isTrusted,
        ...(peer.transport !== 'internal' && { arrivals }),
        onTransfer: (direction, bytes) => metrics.transfers[direction].observe(bytes),
        onGrpc: (duplex, from) => {
          faults?.onConnection(duplex, from);
          const server = peer.transport === 'internal' ? internal : undefined;
          (server ?? external).serveConnection(duplex, from);
        },
      }),
  };
  return {
    external,
    arrivals,
    accepting,
    async [Symbol.asyncDispose]() {
      await external.shutdown({ graceMs: 0 });
      await internal?.shutdown({ graceMs: 0 });
    },
  };
}

/** Returns the parts of call contexts that the transport does not provide. */
export function contextExtras({
  backchannels,
  onFlagChecked,
}: Pick<FrontOptions, 'backchannels' | 'onFlagChecked'>): ContextExtras {
  const flagOptions = onFlagChecked === undefined ? {} : { onChecked: onFlagChecked };
  return {
    flags: (headers) => new RequestFlags(headers, flagOptions),
    openSidechannel: (headers, peer, signal) =>
      openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
  };
}

function addressesOf(listeners: readonly Listener[]): FrontAddresses {
  // In a worker they do not listen.
  const address = (transport: Listener['transport']): string | undefined =>
    listeners.find((listener) => listener.transport === transport)?.address || undefined;
  const [unix, tcp, tls] = [address('unix'), address('tcp'), address('tls')];
  return {
    unix: unix && `unix:${unix}`,
    tcp: tcp && `tcp://${tcp}`,
    tls: tls && `tls://${tls}`,
  };
}
