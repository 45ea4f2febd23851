import type { Duplex } from 'node:stream';
import { messageOf } from '#base/gitaly-error';
import { Git } from '#git/command/git';
import { trimMemory } from '#git/command/spawner/trim-memory';
import { InProcess } from '#git/in-process';
import { RepositoryCaches } from '#git/repository-caches';
import type { GitalyConfig } from '#platform/config/load-config';
import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import { catFileMetrics } from '#platform/metrics/cache-metrics';
import { cgroupMetrics } from '#platform/metrics/cgroup-metrics';
import { buildInfo } from '#platform/metrics/gitaly-metrics';
import type { MonitoringServer, MonitoringServerOptions } from '#platform/metrics/monitoring-server';
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import { alsoRelease } from '#platform/process/idle-memory';
import { PrivatePrograms } from '#platform/process/private-programs';
import { createRuntimeDirectory } from '#platform/process/runtime-directory';
import { packageVersion } from '#platform/process/version';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { interceptorChain } from '#rpc/server/chain';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { followCertificate } from '#rpc/server/connection/certificate';
import { connectionProblems } from '#rpc/server/connection/connection-problems';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { splitHostPort } from '#rpc/server/connection/host-port';
import type { Listener, ListenerOptions } from '#rpc/server/connection/listener';
import { openListeners } from '#rpc/server/connection/open-listeners';
import { openCallSidechannel } from '#rpc/server/connection/open-sidechannel';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { GrpcServer, type GrpcServerOptions } from '#rpc/server/grpc-server';
import type { AuthenticationOptions } from '#rpc/server/interceptors/authentication';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import { errorReports } from '#rpc/server/interceptors/error-reports';
import type { ServerCall } from '#rpc/server/server-call';
import { ensureStorageMetadata } from '#storage/storage-metadata';
import { Storages } from '#storage/storages';
import { startAdaptiveLimits } from './adaptive-limits.ts';
import { startBackgroundJobs } from './background-jobs.ts';
import { cacheMarks } from './cache-marks.ts';
import { observeCommands } from './command-costs.ts';
import { controlGroupOf, startControlGroups } from './control-groups.ts';
import { type Exceptions, exceptions } from './exceptions.ts';
import { explainCall } from './explain.ts';
import { GitCalls } from './git-calls.ts';
import { observeInProcess } from './in-process-answers.ts';
import { type Addresses, addressesOf, listenAddresses } from './listeners.ts';
import { startLoadShedder } from './load-shedder.ts';
import { LocalConnections } from './local-connections.ts';
import { startMaintenance } from './maintenance.ts';
import { methodLimits } from './method-limits.ts';
import { createMetrics, type ServerMetrics } from './metrics.ts';
import { observeLookups } from './object-lookups.ts';
import { packLimits } from './pack-limits.ts';
import { rememberCall } from './running-call.ts';
import { createServices } from './services.ts';
import { RunningCalls } from './top/running-calls.ts';
import { serverStatus } from './top/server-status.ts';
import type { ServerStatus } from './top/status.ts';
import { startTracing } from './tracing/start-tracing.ts';
import { callVariables } from './tracing/trace-variables.ts';
import { unknownMethods } from './unknown-methods.ts';

const SLOW_SPAWNER =
  'git starts more slowly (each start blocks the server for 1 ms and more), its resource usage is not ' +
  'counted, and freed memory is not returned to the system';

export interface GitalyServerOptions {
  readonly config: GitalyConfig;
  readonly logger: Logger;
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
  readonly #internal: GrpcServer;
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
    internal: GrpcServer;
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
    this.#internal = parts.internal;
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
   *   certificate.
   */
  static async start({
    config,
    logger,
    trustsUnixSockets = false,
    takeSocket,
    faults,
    copiesPrograms = false,
  }: GitalyServerOptions): Promise<GitalyServer> {
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
    let gitVersion = '';
    const startedAtMs = performance.now();
    const tracing = await startTracing(process.env.GITLAB_TRACING, logger);
    if (tracing !== undefined) building.use(tracing);
    const groups = building.use(startControlGroups(config, logger) ?? null);
    if (groups?.version === 2)
      for (const directory of groups.parentDirectories)
        cgroupMetrics(metrics.registry, { directory, path: groups.parentPath });
    const gitCalls = new GitCalls();
    const calls = new RunningCalls();
    const testedGit = process.env.GITALY_TESTING_GIT_BINARY;
    const git = await Git.start({
      binary: testedGit || config.git.binPath || 'git',
      privateCopy:
        copiesPrograms && !testedGit
          ? {
              parent: runtime.path,
              onProblem: (error) =>
                logger.warn({ error }, 'git could not be copied: an upgrade would replace it'),
            }
          : undefined,
      config: config.git.config,
      observer: observeCommands(metrics.commands, logger, () => gitVersion, calls, tracing),
      environment: callVariables(tracing),
      admission: gitCalls,
      ...(groups && { controlGroup: controlGroupOf(groups, config) }),
    });
    gitVersion = git.version;
    alsoRelease(trimMemory);
    buildInfo(metrics.registry, { version: packageVersion(), gitVersion });
    logger.info({ binary_path: git.binary, version: git.version }, 'using Git version');
    if (git.spawner.fallbackReason !== undefined)
      logger.warn({ reason: git.spawner.fallbackReason }, SLOW_SPAWNER);

    const caches = building.use(
      new RepositoryCaches(git, {
        catFileProcesses: config.git.catfileCacheSize,
        lookupObserver: observeLookups(),
        inProcess: new InProcess({
          isEnabled: config.git.inProcess,
          observer: observeInProcess(metrics.inProcess),
        }),
      }),
    );
    catFileMetrics(metrics.registry, () => ({ ...caches.catFiles.counts, members: caches.catFiles.members }));
    const storages = new Storages({ storages: config.storage, caches });
    for (const storage of storages.all) {
      await ensureStorageMetadata(storage).catch((error: unknown) =>
        logger.error(
          { error: messageOf(error), storage: storage.name },
          'Unable to write gitaly metadata file',
        ),
      );
    }

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
    const reports = errorReports(config.logging, logger);
    if (reports !== undefined) building.use(reports);
    const unexpected = exceptions(metrics, logger, reports);
    const limits = methodLimits(config);
    for (const { key, message } of unknownMethods(config)) logger.warn({ key }, message);
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
    const options: GrpcServerOptions = {
      onConnectionError: problems.onConnectionError,
      services,
      interceptors: interceptorChain({
        metrics: countCalls({
          methodMetrics: metrics.ofMethod,
          clientRequest: metrics.callers.clientRequest,
        }),
        trace: tracing?.interceptor,
        reportErrors: reports?.interceptor,
        listCalls: calls.interceptor,
        rememberCall,
        countGitCalls: gitCalls.interceptor,
        accessLog: { logger, isLogged: accessLogFilter(process.env) },
        authentication: {
          token: config.auth.token,
          transitioning: config.auth.transitioning,
          trustsUnixSockets,
          ...authenticationCounts(metrics),
        },
        explain: config.git.explain ? explainCall : undefined,
        injectFaults: faults?.interceptor,
        limits: {
          limits: limits.byMethod,
          metrics: metrics.limits,
          onWait,
        },
        cacheInvalidation: {
          beginChange: cacheMarks(storages, logger, metrics.caches.markFailed),
          onCall: metrics.caches.call,
        },
        maintenance: maintenance.scheduler,
        exceptions: unexpected,
      }),
      contextExtras: {
        flags: (headers) =>
          new RequestFlags(headers, {
            onChecked: (name, enabled) => metrics.callers.featureFlagCheck(name, enabled).inc(),
          }),
        openSidechannel: (headers, peer, signal) =>
          openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
      },
    };
    const [external, internal] = [new GrpcServer(options), new GrpcServer(options)];
    building.defer(async () => {
      await external.shutdown({ graceMs: 0 });
      await internal.shutdown({ graceMs: 0 });
    });
    const accepting: ListenerOptions = {
      ...(takeSocket && { takeSocket }),
      onAccept: (transport) => transport !== 'internal' && metrics.callers.connection(transport).inc(),
      onAcceptError: problems.onAcceptError,
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          backchannels,
          onTransfer: (direction, bytes) => metrics.transfers[direction].observe(bytes),
          onGrpc: (duplex, from) => {
            faults?.onConnection(duplex, from);
            (peer.transport === 'internal' ? internal : external).serveConnection(duplex, from);
          },
        }),
    };
    const listeners = await openListeners(listenAddresses(config, runtime.internalSocket), {
      logger,
      options: accepting,
    });
    const local = building.use(new LocalConnections(accepting));
    building.defer(async () => {
      for (const listener of listeners) await listener.destroy();
    });
    const certificate = await followCertificate(config.tls, listeners, logger);
    if (certificate !== undefined) building.use(certificate);
    const state = { isReady: false };
    const status = (): Promise<ServerStatus> =>
      serverStatus({
        gitVersion,
        calls,
        limits: limits.byMethod,
        packLimits: packs.limits,
        gitCalls: gitCalls.counts,
        registry: metrics.registry,
      });
    const monitoring = await startMonitoring(config, logger, {
      registry: metrics.registry,
      isReady: () => state.isReady,
      status,
      takeSocket,
    });
    if (monitoring !== undefined) building.adopt(monitoring, (running) => running.close());
    state.isReady = true;
    tracing?.started(startedAtMs);
    return new GitalyServer({
      logger,
      external,
      internal,
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
    await this.#external.shutdown({ graceMs: NO_LIMIT_MS });
    await this[Symbol.asyncDispose]();
  }

  /** Aborts running calls and closes everything. It can be called twice, and while draining. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#logger.debug('server resources released');
  }
}

async function startMonitoring(
  config: GitalyConfig,
  logger: Logger,
  options: MonitoringServerOptions,
): Promise<MonitoringServer | undefined> {
  if (!config.prometheusListenAddr) return undefined;
  // Loaded only if needed, because it includes Node's HTTP server.
  const { startMonitoringServer } = await import('#platform/metrics/monitoring-server');
  const running = await startMonitoringServer(splitHostPort(config.prometheusListenAddr), options);
  logger.info({ address: joinHostPort(running.address) }, 'starting prometheus listener');
  return running;
}

function joinHostPort({ family, address, port }: MonitoringServer['address']): string {
  return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function authenticationCounts({
  callers,
}: ServerMetrics): Pick<AuthenticationOptions, 'onChecked' | 'onTokenError'> {
  return {
    onChecked: (enforced, status) => callers.authentication(enforced, status).inc(),
    onTokenError: (reason) => callers.authenticationError(reason).inc(),
  };
}

/** The caller limits the time of a drain. This is setTimeout's maximum. */
const NO_LIMIT_MS = 2_147_483_647;
