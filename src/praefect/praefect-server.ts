import type { Duplex } from 'node:stream';
import type { ServerCalls } from '#calls/family-calls';
import { reportViolations } from '#calls/violation-reports';
import type { Logger } from '#platform/log/logger';
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { acceptReverse } from '#rpc/server/connection/accept-reverse';
import { Backchannels } from '#rpc/server/connection/backchannels';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { Front, type FrontOptions } from '#rpc/server/front';
import { GrpcServer } from '#rpc/server/grpc-server';
import type { Peer } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import { errorReports } from '#rpc/server/interceptors/error-reports';
import { mapStatus } from '#rpc/server/interceptors/status-mapping';
import { reflectionServices } from '#rpc/server/reflection';
import type { RawMethod } from '#rpc/server/route';
import { methodByPath } from '#wire/methods';
import type { ProcessFamily } from '#workers/family';
import type { Backend, BackendOptions } from './backends/backend.ts';
import { startMemoryBackend } from './backends/memory-backend.ts';
import { CallList } from './call-list.ts';
import type { PraefectConfig } from './config/schema.ts';
import { strategyOf } from './config/strategy.ts';
import { Coordinator } from './coordinator/coordinator.ts';
import { ReachableNodes } from './coordinator/reachable-nodes.ts';
import { UnrecordedWrites } from './coordinator/unrecorded-writes.ts';
import { writeFinalizer } from './coordinator/write-finalizer.ts';
import { WriteOrder } from './coordinator/write-order.ts';
import { receiveWakes, remoteWake, type WakeReplicator } from './family/replication-wakes.ts';
import { answerForWriteLocks, RemoteWriteLocks } from './family/write-locks.ts';
import { interceptors } from './interceptors.ts';
import { countNodeCalls } from './metrics/count-node-calls.ts';
import { createPraefectMetrics, type PraefectMetrics } from './metrics/praefect-metrics.ts';
import { Nodes } from './nodes/nodes.ts';
import { Replicator } from './replication/replicator.ts';
import { backupRunService } from './services/backup-run-service.ts';
import { refTransactionService } from './services/ref-transaction.ts';
import { serverService } from './services/server-service.ts';
import { voteService } from './services/vote-service.ts';
import type { ClusterStatus } from './status/cluster-status.ts';
import { healthStatus } from './status/health-status.ts';
import { MemoryWriteLocks } from './transactions/memory-write-locks.ts';
import { Transactions } from './transactions/transactions.ts';
import type { WriteLocks } from './transactions/write-locks.ts';

const REVERSE: Peer = { transport: 'internal', address: 'backchannel', backchannelId: undefined };
const NEVER = new AbortController().signal;

export interface PraefectServerOptions {
  readonly config: PraefectConfig;
  readonly logger: Logger;
  /** Returns the socket of an address if this process has inherited one. */
  readonly takeSocket?: TakeSocket;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
  /** Keeps the last hour of its calls. Default: if the configuration has a console. */
  readonly keepsHistory?: boolean;
  /** Makes calls fail; for tests of clients. */
  readonly faults?: FaultInjector | undefined;
}

interface PraefectState {
  readonly calls: ServerCalls;
  readonly front: Front;
  readonly status: () => Promise<ClusterStatus>;
  /** Ends calls that would last for ever. */
  readonly endWatching: (() => void) | undefined;
}

export class PraefectServer implements AsyncDisposable {
  /** `unix:<path>`, `tcp://host:port` and `tls://host:port` of the listeners. */
  readonly addresses: readonly string[];
  /** `http://host:port` of the monitoring server; `undefined` if there is none. */
  readonly monitoringAddress: string | undefined;
  /** Its calls, for operators. */
  readonly calls: ServerCalls;
  readonly #family: ProcessFamily | undefined;
  readonly #front: Front;
  readonly #resources: AsyncDisposableStack;
  readonly #endWatching: (() => void) | undefined;
  readonly #readStatus: () => Promise<ClusterStatus>;

  private constructor(
    family: ProcessFamily | undefined,
    { calls, endWatching, front, status }: PraefectState,
    resources: AsyncDisposableStack,
  ) {
    const { unix, tcp, tls } = front.addresses;
    this.addresses = [unix, tcp, tls].filter((address) => address !== undefined);
    this.monitoringAddress = front.monitoringAddress;
    this.calls = calls;
    this.#family = family;
    this.#front = front;
    this.#resources = resources;
    this.#readStatus = status;
    this.#endWatching = endWatching;
  }

  /**
   * Connects to the nodes and the database, checks the nodes and opens the sockets.
   *
   * @param family the other processes of a Praefect that has several; default: it has one.
   * @throws {Error} that describes the problem: a socket in use, a database that cannot be reached.
   */
  static async start(options: PraefectServerOptions, family?: ProcessFamily): Promise<PraefectServer> {
    const { config, faults, logger, signal = NEVER, takeSocket } = options;
    const { keepsHistory = config.console.listenAddr !== undefined } = options;
    await using building = new AsyncDisposableStack();
    const metrics = createPraefectMetrics({
      latencyBuckets: config.prometheus.grpcLatencyBuckets,
      reconciliationBuckets: config.reconciliation.histogramBuckets,
      storages: storagesOf(config),
    });
    const reports = building.use(errorReports(config.sentry, logger));
    const worker = family?.role === 'worker' ? family.number : 0;
    building.use(reportViolations(metrics.registry, logger));
    const transactions = new Transactions(logger, metrics.transactions, worker);
    const nodes = building.use(await dialNodes(config, metrics, serveVotes(transactions, metrics, building)));
    const parts = { config, nodes: nodes.byStorage, metrics, logger, family };
    const backend = building.use(await startBackend(parts, signal));
    const wake = startReplicator(parts, backend, building);
    const unrecorded = building.use(new UnrecordedWrites(logger));
    const coordinator = createCoordinator(parts, backend, { transactions, unrecorded, wake });
    const { failedChecks, health } = backend;
    const isHealthy = health.isHealthy.bind(health);
    const services = [
      refTransactionService(transactions),
      serverService({ nodes: nodes.byStorage, isHealthy, logger, failedChecks }),
      backupRunService({ nodes: nodes.byStorage, isHealthy }),
      ...backend.services,
      healthService(),
    ];
    const calls = building.use(new CallList({ logger, registry: metrics.registry, keepsHistory }));
    const front = building.use(
      await Front.open({
        config,
        logger,
        metrics,
        services: [...services, ...reflectionServices(services)],
        interceptors: await interceptors({ config, faults, logger, metrics, reports, calls }),
        unknownMethod: proxiedMethod(backend, coordinator),
        backchannels: new Backchannels<GrpcChannel>((stream) => connectGrpc(stream)),
        monitoring: {
          ...databaseEndpoint(config, backend),
          others: family?.role === 'supervisor' ? family.monitoring : undefined,
        },
        takeSocket,
        sharing: family?.sharing,
        faults,
      }),
    );
    if (family !== undefined) {
      const { registry } = metrics;
      family.onStarted({ front, directory: undefined, onOtherEnded: async () => {}, registry });
      building.defer(() => family.endOthers());
    }
    const status = backend.status ?? (async () => healthStatus(nodes.byStorage, isHealthy));
    const { endWatching, webhooks } = backend;
    return new PraefectServer(
      family,
      { calls: calls.ofFamily(family, webhooks), endWatching, front, status },
      building.move(),
    );
  }

  /**
   * Reads the state of the cluster. Without a database, only the health of the nodes is known.
   *
   * @throws {Error} when the database cannot be read.
   */
  async status(): Promise<ClusterStatus> {
    return await this.#readStatus();
  }

  /** The listening sockets for a successor. */
  get sockets(): readonly ListeningSocket[] {
    return this.#front.sockets;
  }

  /** Stops accepting calls, waits for the running ones without a limit, and closes everything. */
  async drain(): Promise<void> {
    this.#endWatching?.();
    await Promise.all([this.#front.drain(), this.#family?.drainOthers()]);
    await this[Symbol.asyncDispose]();
  }

  /** Aborts running calls and closes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Starts the replicator of the first process. Returns the function that notifies it of a job. */
function startReplicator(
  { config, family, logger, metrics, nodes }: BackendOptions,
  { health, pauses, queue, store }: Backend,
  resources: AsyncDisposableStack,
): WakeReplicator {
  if (family?.role === 'worker') return remoteWake(family.link);
  const replicator = resources.use(
    new Replicator({
      queue,
      store,
      pauses,
      nodes,
      isHealthy: (node) => health.isHealthy(node),
      batchSize: config.replication.batchSize,
      workers: config.replication.parallelStorageProcessingWorkers,
      observer: metrics.replication,
      logger: logger.child({ component: 'replicator' }),
    }),
  );
  const wake: WakeReplicator = (virtualStorage, target) => replicator.wake(virtualStorage, target);
  if (family?.role === 'supervisor') receiveWakes(family.desk, wake);
  return wake;
}

/** Returns the locks among the writes of this Praefect, which the first process has. */
function ownWriteLocks(family: ProcessFamily | undefined): WriteLocks {
  if (family?.role === 'worker') return new RemoteWriteLocks(family.link);
  const locks = new MemoryWriteLocks();
  if (family?.role === 'supervisor') answerForWriteLocks(family.desk, locks);
  return locks;
}

/** Returns a function that serves votes on the connections that Praefect has opened to its nodes. */
function serveVotes(
  transactions: Transactions,
  { callers, ofMethod: methodMetrics }: PraefectMetrics,
  resources: AsyncDisposableStack,
): (duplex: Duplex) => void {
  // Nodes need no authentication on these connections.
  const counted = countCalls({ methodMetrics, clientRequest: callers.clientRequest });
  const services = [refTransactionService(transactions), voteService(transactions, methodMetrics)];
  const reverse = new GrpcServer({ services, interceptors: [counted, mapStatus] });
  resources.defer(() => reverse.shutdown({ graceMs: 0 }));
  return (duplex) => reverse.serveConnection(duplex, REVERSE);
}

async function dialNodes(
  config: PraefectConfig,
  metrics: PraefectMetrics,
  callBack: (duplex: Duplex) => void,
): Promise<Nodes> {
  return await Nodes.dial(config, (stream) => void acceptReverse(stream, callBack), {
    onTransfer: (direction, bytes) => metrics.transfers[direction].observe(bytes),
    interceptors: [countNodeCalls(metrics.ofNodeMethod)],
  });
}

interface CoordinatorParts {
  readonly transactions: Transactions;
  readonly unrecorded: UnrecordedWrites;
  readonly wake: WakeReplicator;
}

function createCoordinator(
  { config, family, logger, metrics }: BackendOptions,
  { findLost, health, onNodeError, onRecorded, pauses, queue, router, store, writeLocks }: Backend,
  { transactions, unrecorded, wake }: CoordinatorParts,
): Coordinator {
  return new Coordinator({
    router,
    reachable: new ReachableNodes({ health, logger }),
    transactions,
    pauses,
    order: new WriteOrder({
      isOn: config.transactions.orderedWrites,
      isShared: config.transactions.orderedAcrossPraefects,
      ownLocks: ownWriteLocks(family),
      sharedLocks: writeLocks,
      logger,
    }),
    metrics,
    logger,
    onNodeError,
    findLost,
    unrecorded,
    recordWrite: writeFinalizer({
      ...{ store, queue, logger, unrecorded },
      counted: metrics.countReplicas,
      onRecorded,
      onQueued: wake,
    }),
  });
}

/** Returns the function that finds the handlers of Gitaly's methods. */
function proxiedMethod(
  { handlers }: Backend,
  coordinator: Coordinator,
): (path: string) => RawMethod | undefined {
  return (path) => {
    const method = methodByPath(path);
    return method === undefined || method.intercepted || method.operation === 'unknown'
      ? undefined
      : { method, handler: handlers.get(path) ?? coordinator.handler(method) };
  };
}

async function startBackend(parts: BackendOptions, signal: AbortSignal): Promise<Backend> {
  if (strategyOf(parts.config).isInMemory) return await startMemoryBackend(parts);
  // Loaded only here, because it loads the database client.
  const { startDatabaseBackend } = await import('./backends/database-backend.ts');
  return await startDatabaseBackend(parts, signal);
}

function storagesOf({ virtualStorage }: PraefectConfig): ReadonlyMap<string, readonly string[]> {
  return new Map(virtualStorage.map(({ name, node }) => [name, node.map(({ storage }) => storage)]));
}

/** Returns the endpoint of the metrics that need queries of the database, if there is one. */
function databaseEndpoint(
  { prometheusExcludeDatabaseFromDefaultMetrics }: PraefectConfig,
  { databaseMetrics: render }: Backend,
): FrontOptions['monitoring'] {
  if (render === undefined) return {};
  const isInMetrics = !prometheusExcludeDatabaseFromDefaultMetrics;
  return { further: { path: '/db_metrics', render, isInMetrics } };
}
