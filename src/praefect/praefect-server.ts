import { messageOf } from '#base/gitaly-error';

import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import type { MonitoringServer, MonitoringServerOptions } from '#platform/metrics/monitoring-server';
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { splitHostPort } from '#rpc/server/connection/host-port';
import { type ListenAddress, Listener, type ListenerOptions } from '#rpc/server/connection/listener';
import { openCallSidechannel } from '#rpc/server/connection/open-sidechannel';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { GrpcServer } from '#rpc/server/grpc-server';
import type { Peer } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { accessLog } from '#rpc/server/interceptors/access-log';
import { authenticate } from '#rpc/server/interceptors/authentication';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import { recoverExceptions } from '#rpc/server/interceptors/recover-exceptions';
import { mapStatus } from '#rpc/server/interceptors/status-mapping';
import { reflectionServices } from '#rpc/server/reflection';
import type { ServerInterceptor } from '#rpc/server/server-call';
import { methodByPath } from '#wire/methods';
import type { Backend, BackendParts } from './backends/backend.ts';
import { startMemoryBackend } from './backends/memory-backend.ts';
import { isInMemory } from './config/load-praefect-config.ts';
import type { PraefectConfig } from './config/schema.ts';
import { Coordinator } from './coordinator/coordinator.ts';
import { writeFinalizer } from './coordinator/write-finalizer.ts';
import { createPraefectMetrics, type PraefectMetrics } from './metrics.ts';
import { Nodes } from './nodes/nodes.ts';
import { Replicator } from './replication/replicator.ts';
import { refTransactionService } from './services/ref-transaction.ts';
import { serverService } from './services/server-service.ts';
import { Transactions } from './transactions/transactions.ts';

const REVERSE: Peer = { transport: 'internal', address: 'backchannel', backchannelId: undefined };
/** The caller limits the time of a drain. This is setTimeout's maximum. */
const NO_LIMIT_MS = 2_147_483_647;
const NEVER = new AbortController().signal;

export interface PraefectServerOptions {
  readonly config: PraefectConfig;
  readonly logger: Logger;
  /** Returns the socket of an address if this process has inherited one. */
  readonly takeSocket?: TakeSocket;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
  /** For tests of clients: makes calls fail. */
  readonly faults?: FaultInjector | undefined;
}

/** A running Praefect. */
export class PraefectServer implements AsyncDisposable {
  /** `unix:<path>` and `tcp://host:port` of the listeners. */
  readonly addresses: readonly string[];
  readonly #grpc: GrpcServer;
  readonly #listeners: readonly Listener[];
  readonly #monitoring: MonitoringServer | undefined;
  readonly #state: { isReady: boolean };
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: {
    grpc: GrpcServer;
    listeners: readonly Listener[];
    monitoring: MonitoringServer | undefined;
    state: { isReady: boolean };
    resources: AsyncDisposableStack;
  }) {
    this.addresses = parts.listeners.map(({ transport, address }) =>
      transport === 'unix' ? `unix:${address}` : `tcp://${address}`,
    );
    this.#grpc = parts.grpc;
    this.#listeners = parts.listeners;
    this.#monitoring = parts.monitoring;
    this.#state = parts.state;
    this.#resources = parts.resources;
  }

  /**
   * Connects to the nodes and the database, checks the nodes and opens the sockets.
   *
   * @throws {Error} that describes the problem: a socket in use, a database that cannot be reached.
   */
  static async start(options: PraefectServerOptions): Promise<PraefectServer> {
    const { config, faults, logger, signal = NEVER, takeSocket } = options;
    await using building = new AsyncDisposableStack();
    const metrics = createPraefectMetrics({
      reconciliationBuckets: config.reconciliation.histogramBuckets,
    });
    const transactions = new Transactions(logger, metrics.transactions);
    const votes = refTransactionService(transactions);
    // Nodes need no authentication on connections that we have opened to them.
    const reverse = new GrpcServer({ services: [votes], interceptors: [mapStatus] });
    building.defer(() => reverse.shutdown({ graceMs: 0 }));
    const nodes = building.use(
      await Nodes.dial(config, (stream) => reverse.serveConnection(stream, REVERSE)),
    );
    const parts = { config, nodes: nodes.byStorage, metrics, logger };
    const backend = building.use(await startBackend(parts, signal));
    const { isHealthy, onRecorded, queue, router, store } = backend;
    const replicator = building.use(
      new Replicator({
        queue,
        store,
        nodes: nodes.byStorage,
        isHealthy,
        batchSize: config.replication.batchSize,
        workers: config.replication.parallelStorageProcessingWorkers,
        logger: logger.child({ component: 'replicator' }),
      }),
    );
    const coordinator = new Coordinator({
      router,
      transactions,
      metrics,
      recordWrite: writeFinalizer({
        store,
        queue,
        logger,
        counted: metrics.countReplicas,
        onRecorded,
        onQueued: (virtualStorage, target) => replicator.wake(virtualStorage, target),
      }),
    });
    const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
    const services = [
      votes,
      serverService({ nodes: nodes.byStorage, logger, failedChecks: backend.failedChecks }),
      ...backend.services,
      healthService(),
    ];
    const grpc = new GrpcServer({
      services: [...services, ...reflectionServices(services)],
      interceptors: interceptors({ config, faults, logger, metrics }),
      unknownMethod: (path) => {
        const method = methodByPath(path);
        return method === undefined || method.intercepted || method.operation === 'unknown'
          ? undefined
          : { method, handler: backend.handlers.get(path) ?? coordinator.handler(method) };
      },
      contextExtras: {
        flags: (headers) => new RequestFlags(headers),
        openSidechannel: (headers, peer, signal) =>
          openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
      },
      onConnectionError: (error, { address, transport }) =>
        logger.debug({ error: error.message, schema: transport, address }, 'connection ended with an error'),
    });
    building.defer(() => grpc.shutdown({ graceMs: 0 }));
    const listeners = await openListeners(config, logger, {
      ...(takeSocket && { takeSocket }),
      onAccept: (transport) => transport !== 'internal' && metrics.callers.connection(transport).inc(),
      onAcceptError: (error, transport) =>
        logger.error({ error: error.message, schema: transport }, 'connection could not be accepted'),
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          backchannels,
          onTransfer: () => {},
          onGrpc: (duplex, from) => {
            faults?.onConnection(duplex, from);
            grpc.serveConnection(duplex, from);
          },
        }),
    });
    building.defer(async () => {
      for (const listener of listeners) await listener.destroy();
    });
    const state = { isReady: true };
    const monitoring = await startMonitoring(config, logger, metrics, {
      isReady: () => state.isReady,
      takeSocket,
    });
    if (monitoring !== undefined) building.adopt(monitoring, (running) => running.close());
    return new PraefectServer({ grpc, listeners, monitoring, state, resources: building.move() });
  }

  /** The listening sockets for a successor. */
  get sockets(): readonly ListeningSocket[] {
    return [...this.#listeners, ...(this.#monitoring === undefined ? [] : [this.#monitoring])]
      .map(({ socket }) => socket)
      .filter((socket) => socket !== undefined);
  }

  /** Stops accepting calls, waits for the running ones without a limit, and closes everything. */
  async drain(): Promise<void> {
    this.#state.isReady = false;
    await Promise.all(this.#listeners.map((listener) => listener.stopForDrain()));
    await this.#grpc.shutdown({ graceMs: NO_LIMIT_MS });
    await this[Symbol.asyncDispose]();
  }

  /** Aborts running calls and closes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function interceptors({
  config,
  faults,
  logger,
  metrics,
}: PraefectServerOptions & { readonly metrics: PraefectMetrics }): readonly ServerInterceptor[] {
  return [
    countCalls({ methodMetrics: metrics.ofMethod, clientRequest: metrics.callers.clientRequest }),
    accessLog({ logger, isLogged: accessLogFilter(process.env) }),
    mapStatus,
    authenticate({
      token: config.auth.token,
      transitioning: config.auth.transitioning,
      onChecked: (enforced, status) => metrics.callers.authentication(enforced, status).inc(),
      onTokenError: (reason) => metrics.callers.authenticationError(reason).inc(),
    }),
    ...(faults === undefined ? [] : [faults.interceptor]),
    recoverExceptions({
      onException: (call, exception) => {
        metrics.callers.exception('call').inc();
        logger.error({ error: messageOf(exception), method: call.method.path }, 'grpc panic');
      },
    }),
  ];
}

async function startBackend(parts: BackendParts, signal: AbortSignal): Promise<Backend> {
  if (isInMemory(parts.config)) return await startMemoryBackend(parts);
  // Loaded here: it brings the database client along.
  const { startDatabaseBackend } = await import('./backends/database-backend.ts');
  return await startDatabaseBackend(parts, signal);
}

async function openListeners(
  { socketPath, listenAddr }: PraefectConfig,
  logger: Logger,
  options: ListenerOptions,
): Promise<readonly Listener[]> {
  const addresses: ListenAddress[] = [
    ...(socketPath === undefined ? [] : [{ transport: 'unix', path: socketPath } as const]),
    ...(listenAddr === undefined ? [] : [{ transport: 'tcp', ...splitHostPort(listenAddr) } as const]),
  ];
  const listeners: Listener[] = [];
  try {
    for (const address of addresses) {
      const listener = await Listener.listen(address, options);
      listeners.push(listener);
      logger.info({ address: listener.address, schema: address.transport }, 'listening at address');
    }
  } catch (error) {
    for (const listener of listeners) await listener.destroy();
    throw error;
  }
  return listeners;
}

async function startMonitoring(
  { prometheusListenAddr }: PraefectConfig,
  logger: Logger,
  { registry }: PraefectMetrics,
  parts: Pick<MonitoringServerOptions, 'isReady' | 'takeSocket'>,
): Promise<MonitoringServer | undefined> {
  if (prometheusListenAddr === undefined) return undefined;
  const { startMonitoringServer } = await import('#platform/metrics/monitoring-server');
  const running = await startMonitoringServer(splitHostPort(prometheusListenAddr), { registry, ...parts });
  logger.info(
    { address: `${running.address.address}:${running.address.port}` },
    'starting prometheus listener',
  );
  return running;
}
