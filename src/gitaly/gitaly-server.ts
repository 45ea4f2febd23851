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
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import { PrivatePrograms } from '#platform/process/private-programs';
import { createRuntimeDirectory } from '#platform/process/runtime-directory';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { Front, type FrontAddresses } from '#rpc/server/front';
import { errorReports } from '#rpc/server/interceptors/error-reports';
import type { ServerCall } from '#rpc/server/server-call';
import { startAdaptiveLimits } from './adaptive-limits.ts';
import { startBackgroundJobs } from './background-jobs.ts';
import { startControlGroups } from './control-groups.ts';
import { interceptors } from './interceptors.ts';
import { startMaintenance } from './maintenance.ts';
import { methodLimits } from './method-limits.ts';
import { openStorages } from './open-storages.ts';
import { packLimits } from './pack-limits.ts';
import { createServices } from './services.ts';
import { startGit } from './start-git.ts';
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

/** Addresses of a server; an address that is not configured is `undefined`. */
export interface Addresses extends FrontAddresses {
  /** `unix:<path>`, for hooks and the server itself. */
  readonly internal: string;
}

/** A running Git RPC server. */
export class GitalyServer implements AsyncDisposable {
  readonly addresses: Addresses;
  readonly #logger: Logger;
  readonly #front: Front;
  readonly #resources: AsyncDisposableStack;
  readonly #exceptions: Exceptions;
  /** `http://host:port` of the monitoring server; `undefined` if there is none. */
  readonly monitoringAddress: string | undefined;

  private constructor(started: {
    logger: Logger;
    front: Front;
    internalSocket: string;
    resources: AsyncDisposableStack;
    exceptions: Exceptions;
  }) {
    this.addresses = { ...started.front.addresses, internal: `unix:${started.internalSocket}` };
    this.#logger = started.logger;
    this.#front = started.front;
    this.#resources = started.resources;
    this.#exceptions = started.exceptions;
    this.monitoringAddress = started.front.monitoringAddress;
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
    const front = building.use(
      await Front.open({
        config,
        logger,
        metrics,
        services,
        interceptors: interceptors({
          config,
          logger,
          metrics,
          storages,
          trustsUnixSockets,
          tracing,
          reports,
          calls,
          faults,
          limits: limits.byMethod,
          onWait,
          maintenance: maintenance.scheduler,
          exceptions: unexpected,
        }),
        onFlagChecked: (name, enabled) => metrics.callers.featureFlagCheck(name, enabled).inc(),
        backchannels,
        monitoring: { problems: () => storages.presence.problems(), status },
        internalSocket: runtime.internalSocket,
        takeSocket,
        faults,
      }),
    );
    tracing?.started(startedAtMs);
    return new GitalyServer({
      logger,
      front,
      internalSocket: runtime.internalSocket,
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
    return this.#front.connect();
  }

  /** The listening sockets for a successor: all but the internal one, which only children use. */
  get sockets(): readonly ListeningSocket[] {
    return this.#front.sockets;
  }

  /**
   * Stops accepting calls, first from outside and then from our own hooks, waits for the running
   * ones without a limit, and closes everything.
   */
  async drain(): Promise<void> {
    await this.#front.drain();
    await this[Symbol.asyncDispose]();
  }

  /** Aborts running calls and closes everything. It can be called twice, and while draining. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#logger.debug('server resources released');
  }
}
