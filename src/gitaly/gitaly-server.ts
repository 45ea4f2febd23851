import type { Duplex } from 'node:stream';
import { startCallReports } from '#calls/call-reports';
import { type Exceptions, exceptions } from '#calls/exceptions';
import { GitCalls } from '#calls/git-calls';
import { startLoadShedder } from '#calls/load-shedder';
import { createMetrics } from '#calls/metrics';
import { RunningCalls } from '#calls/running-calls';
import { serverStatus } from '#calls/top/server-status';
import type { ServerStatus } from '#calls/top/status';
import { startTracing } from '#calls/tracing/start-tracing';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Logger, type LogTarget, loggerFor } from '#platform/log/logger';
import { cgroupMetrics } from '#platform/metrics/cgroup-metrics';
import type { MonitoringServer } from '#platform/metrics/monitoring-server';
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import { PrivatePrograms } from '#platform/process/private-programs';
import { createRuntimeDirectory } from '#platform/process/runtime-directory';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import type { Arrivals } from '#rpc/server/connection/arrivals';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { followCertificate } from '#rpc/server/connection/certificate';
import { connectionProblems } from '#rpc/server/connection/connection-problems';
import type { Listener } from '#rpc/server/connection/listener';
import { openListeners } from '#rpc/server/connection/open-listeners';
import type { FaultInjector } from '#rpc/server/fault-injector';
import type { GrpcServer } from '#rpc/server/grpc-server';
import { errorReports } from '#rpc/server/interceptors/error-reports';
import type { ServerCall } from '#rpc/server/server-call';
import { startAdaptiveLimits } from './adaptive-limits.ts';
import { startBackgroundJobs } from './background-jobs.ts';
import { startControlGroups } from './control-groups.ts';
import { type Addresses, addressesOf, listenAddresses } from './listeners.ts';
import { LocalConnections } from './local-connections.ts';
import { startMaintenance } from './maintenance.ts';
import { methodLimits } from './method-limits.ts';
import { openStorages } from './open-storages.ts';
import { packLimits } from './pack-limits.ts';
import { createRpcServers } from './rpc-servers.ts';
import { createServices } from './services.ts';
import { startGit } from './start-git.ts';
import { joinHostPort, startMonitoring } from './start-monitoring.ts';
import { checkLimitedMethods } from './unknown-methods.ts';

const SILENT: LogTarget = { error: () => {}, warn: () => {}, info: () => {} };

export interface GitalyServerOptions {
  readonly config: GitalyConfig;
  /**
   * Receives what the server logs: any object with `error`, `warn` and `info`, like pino's.
   * Default: nothing is logged.
   */
  readonly logger?: LogTarget;
  /**
   * Requires the token only on TCP and TLS: the permissions of the files protect the Unix sockets.
   * Default false, as in Gitaly.
   */
  readonly trustsUnixSockets?: boolean;
  /** Returns the socket of an address if this process has inherited one. */
  readonly takeSocket?: TakeSocket;
  /** For tests of clients: makes calls from outside fail. */
  readonly faults?: FaultInjector | undefined;
  /**
   * Copies git and the programs that it starts to the runtime directory, for a server that runs
   * longer than the files on disk stay the same. Default false.
   */
  readonly copiesPrograms?: boolean;
}

/** A running Git RPC server. */
export class GitalyServer implements AsyncDisposable {
  readonly addresses: Addresses;
  readonly #logger: Logger;
  readonly #external: GrpcServer;
  readonly #arrivals: Arrivals;
  readonly #listeners: readonly Listener[];
  readonly #state: { isReady: boolean };
  readonly #resources: AsyncDisposableStack;
  readonly #local: LocalConnections;
  readonly #exceptions: Exceptions;
  /** `http://host:port` of the monitoring server; `undefined` if there is none. */
  readonly monitoringAddress: string | undefined;
  readonly #monitoring: MonitoringServer | undefined;

  private constructor(parts: {
    logger: Logger;
    external: GrpcServer;
    arrivals: Arrivals;
    listeners: readonly Listener[];
    local: LocalConnections;
    monitoring: MonitoringServer | undefined;
    state: { isReady: boolean };
    resources: AsyncDisposableStack;
    exceptions: Exceptions;
  }) {
    this.addresses = addressesOf(parts.listeners);
    this.#logger = parts.logger;
    this.#external = parts.external;
    this.#arrivals = parts.arrivals;
    this.#listeners = parts.listeners;
    this.#local = parts.local;
    this.#state = parts.state;
    this.#resources = parts.resources;
    this.#exceptions = parts.exceptions;
    this.#monitoring = parts.monitoring;
    this.monitoringAddress = parts.monitoring && `http://${joinHostPort(parts.monitoring.address)}`;
  }

  /**
   * Builds a server from the bottom up and opens its sockets. If a step fails, the earlier ones are
   * undone.
   *
   * @throws {Error} that describes the problem: no usable git, a socket in use, an unreadable
   *   certificate; {ConfigError} for a limit of an RPC that does not exist.
   */
  static async start({
    config,
    logger: target = SILENT,
    trustsUnixSockets = false,
    takeSocket,
    faults,
    copiesPrograms = false,
  }: GitalyServerOptions): Promise<GitalyServer> {
    const logger = loggerFor(target);
    for (const { key, message } of checkLimitedMethods(config)) logger.warn({ key }, message);
    await using building = new AsyncDisposableStack();

    const runtime = building.adopt(
      await createRuntimeDirectory({
        parent: config.runtimeDir,
        onLeftAlone: (path, reason) => logger.warn({ path, reason }, 'could not prune runtime directory'),
      }),
      (directory) => directory.remove(),
    );
    const programs = building.use(
      PrivatePrograms.create(runtime.path, {
        copies: copiesPrograms,
        onProblem: (error) => logger.warn({ error }, 'the programs that git starts could not be copied'),
      }),
    );
    const metrics = createMetrics(config);
    const startedAtMs = performance.now();
    const tracing = await startTracing(process.env.GITLAB_TRACING, logger);
    if (tracing !== undefined) building.use(tracing);
    const groups = building.use(startControlGroups(config, logger) ?? null);
    if (groups?.version === 2)
      for (const directory of groups.parentDirectories)
        cgroupMetrics(metrics.registry, { directory, path: groups.parentPath });
    const gitCalls = new GitCalls();
    const calls = new RunningCalls();
    const copyTo = copiesPrograms ? runtime.path : undefined;
    const git = await startGit({ config, logger, metrics, gitCalls, calls, tracing, groups, copyTo });

    const { storages, caches } = await openStorages(git, { config, metrics, logger });
    building.use(caches);

    const maintenance = building.use(startMaintenance({ config, storages, metrics, logger }));
    const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
    const onWait = (call: ServerCall, configKey: string): (() => void) => {
      const [onWaited, onTraced] = [calls.waits(call, configKey), tracing?.wait(call, configKey)];
      return () => {
        onWaited();
        onTraced?.();
      };
    };
    const packs = packLimits(config, metrics.packs, onWait);
    const { services, resources } = await createServices({
      packLimits: packs.limits,
      config,
      logger,
      metrics,
      storages,
      housekeeping: maintenance.housekeeping,
      runtime,
      programs,
      backchannels,
      tracing,
    });
    building.use(resources);
    building.use(
      startBackgroundJobs(storages, logger, {
        onStep: metrics.caches.walked,
        onLeftover: (kind) => metrics.housekeeping.prunedFiles(kind).inc(),
      }),
    );

    const problems = connectionProblems(metrics, logger);
    const reports = building.use(errorReports(config.logging, logger));
    const unexpected = exceptions(metrics, logger, reports);
    const limits = methodLimits(config);
    building.use(
      startAdaptiveLimits(config, [...limits.adaptive, ...packs.adaptive], {
        metrics: metrics.adaptiveLimits,
        logger,
        groupDirectories: groups?.parentDirectories,
      }),
    );
    building.use(
      startLoadShedder(config, {
        registry: metrics.registry,
        calls,
        logger,
        groupDirectories: groups?.parentDirectories,
      }),
    );
    const blockedCalls = building.use(startCallReports(calls, metrics, logger));
    const servers = building.use(
      createRpcServers({
        config,
        logger,
        metrics,
        services,
        storages,
        trustsUnixSockets,
        tracing,
        reports,
        calls,
        gitCalls,
        faults,
        limits: limits.byMethod,
        onWait,
        maintenance: maintenance.scheduler,
        exceptions: unexpected,
        backchannels,
        problems,
      }),
    );
    const listeners = await openListeners(listenAddresses(config, runtime.internalSocket), {
      logger,
      options: { ...servers.accepting, ...(takeSocket && { takeSocket }) },
    });
    const local = building.use(new LocalConnections(servers.accepting));
    building.defer(async () => {
      for (const listener of listeners) await listener.destroy();
    });
    building.use(await followCertificate(config.tls, listeners, logger));
    const state = { isReady: false };
    const status = (): Promise<ServerStatus> =>
      serverStatus({
        gitVersion: git.version,
        calls,
        limits: limits.byMethod,
        packLimits: packs.limits,
        gitCalls: gitCalls.counts,
        registry: metrics.registry,
        blockedCalls,
      });
    const monitoring = await startMonitoring(config, logger, {
      registry: metrics.registry,
      isReady: () => state.isReady,
      problems: () => storages.presence.problems(),
      status,
      takeSocket,
    });
    if (monitoring !== undefined) building.adopt(monitoring, (running) => running.close());
    state.isReady = true;
    tracing?.started(startedAtMs);
    return new GitalyServer({
      logger,
      external: servers.external,
      arrivals: servers.arrivals,
      listeners,
      local,
      monitoring,
      state,
      resources: building.move(),
      exceptions: unexpected,
    });
  }

  /**
   * Deals with an exception that nothing in this process has caught. @see Exceptions.contain
   */
  contain(exception: unknown): boolean {
    return this.#exceptions.contain(exception);
  }

  /**
   * Opens a connection from this process, which counts as one over a Unix socket, and returns the
   * client's end. Bytes do not pass through the system. The server closes it at its own end.
   *
   * @throws {Error} when the server stops.
   */
  connect(): Duplex {
    return this.#local.open();
  }

  /** The listening sockets for a successor: all but the internal one, which only children use. */
  get sockets(): readonly ListeningSocket[] {
    return [...this.#listeners, ...(this.#monitoring === undefined ? [] : [this.#monitoring])]
      .map(({ socket }) => socket)
      .filter((socket) => socket !== undefined);
  }

  /**
   * Stops accepting calls, first from outside and then from our own hooks, waits for the running
   * ones without a limit, and closes everything.
   */
  async drain(): Promise<void> {
    this.#state.isReady = false;
    this.#local.stop();
    const external = this.#listeners.filter(({ transport }) => transport !== 'internal');
    await Promise.all(external.map((listener) => listener.stopForDrain()));
    await this.#external.shutdown({ graceMs: NO_LIMIT_MS, arriving: this.#arrivals.drain() });
    await this[Symbol.asyncDispose]();
  }

  /** Aborts running calls and closes everything. It can be called twice, and while draining. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#logger.debug('server resources released');
  }
}

/** The caller limits the time of a drain. This is setTimeout's maximum. */
const NO_LIMIT_MS = 2_147_483_647;
