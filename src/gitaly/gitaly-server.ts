import { messageOf } from '#base/gitaly-error';
import { Git } from '#git/git';
import type { GitalyConfig } from '#platform/config/load-config';
import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import { buildInfo } from '#platform/metrics/gitaly-metrics';
import type { MonitoringServer } from '#platform/metrics/monitoring-server';
import { createRuntimeDirectory } from '#platform/process/runtime-directory';
import { packageVersion } from '#platform/process/version';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc-channel';
import { Backchannels } from '#rpc/server/backchannels';
import { interceptorChain } from '#rpc/server/chain';
import { demultiplex } from '#rpc/server/demultiplexer';
import { GrpcServer, type GrpcServerOptions } from '#rpc/server/grpc-server';
import type { AuthenticationOptions } from '#rpc/server/interceptors/authentication';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import type { Listener } from '#rpc/server/listener';
import { openCallSidechannel } from '#rpc/server/open-sidechannel';
import { ensureStorageMetadata } from '#storage/storage-metadata';
import { Storages } from '#storage/storages';
import { startBackgroundJobs } from './background-jobs.ts';
import { cacheMarks } from './cache-marks.ts';
import { observeCommands } from './command-costs.ts';
import { type Addresses, addressesOf, openListeners, splitHostPort } from './listeners.ts';
import { createMetrics, type ServerMetrics } from './metrics.ts';
import { rememberCall } from './running-call.ts';
import { createServices } from './services.ts';

export interface GitalyServerOptions {
  readonly config: GitalyConfig;
  readonly logger: Logger;
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
  /** `http://host:port` of the monitoring server; `undefined` when there is none. */
  readonly monitoringAddress: string | undefined;

  private constructor(parts: {
    logger: Logger;
    external: GrpcServer;
    internal: GrpcServer;
    listeners: readonly Listener[];
    monitoring: MonitoringServer | undefined;
    state: { isReady: boolean };
    resources: AsyncDisposableStack;
  }) {
    this.addresses = addressesOf(parts.listeners);
    this.#logger = parts.logger;
    this.#external = parts.external;
    this.#internal = parts.internal;
    this.#listeners = parts.listeners;
    this.#state = parts.state;
    this.#resources = parts.resources;
    this.monitoringAddress = parts.monitoring && `http://${joinHostPort(parts.monitoring.address)}`;
  }

  /**
   * Builds a server from the bottom up and opens its sockets. What was built is taken down again when a later step fails.
   *
   * @throws {Error} with a text that says what is wrong: no usable git, a socket that is taken, a certificate that cannot be read.
   */
  static async start({ config, logger }: GitalyServerOptions): Promise<GitalyServer> {
    await using building = new AsyncDisposableStack();

    const runtime = building.adopt(
      await createRuntimeDirectory({
        parent: config.runtimeDir,
        onLeftAlone: (path, reason) => logger.warn({ path, reason }, 'could not prune runtime directory'),
      }),
      (directory) => directory.remove(),
    );
    const metrics = createMetrics(config);
    let gitVersion = '';
    const git = building.adopt(
      await Git.start({
        binary: process.env.GITALY_TESTING_GIT_BINARY || config.git.binPath || 'git',
        config: config.git.config,
        catFileProcesses: config.git.catfileCacheSize > 0 ? config.git.catfileCacheSize : 100,
        observer: observeCommands(metrics.commands, logger, () => gitVersion),
      }),
      (running) => running.close(),
    );
    gitVersion = git.version;
    buildInfo(metrics.registry, { version: packageVersion(), gitVersion });
    logger.info({ binary_path: git.binary, version: git.version }, 'using Git version');

    const storages = new Storages({ storages: config.storage, git });
    for (const storage of storages.all) {
      await ensureStorageMetadata(storage).catch((error: unknown) =>
        logger.error({ error: messageOf(error), storage: storage.name }, 'Unable to write gitaly metadata file'),
      );
    }

    const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
    const { services, resources } = await createServices({ config, logger, metrics, storages, runtime, backchannels });
    building.use(resources);
    building.use(startBackgroundJobs(storages, logger));

    const options: GrpcServerOptions = {
      services,
      interceptors: interceptorChain({
        metrics: countCalls({ methodMetrics: metrics.ofMethod, clientRequest: metrics.callers.clientRequest }),
        rememberCall,
        accessLog: { logger, isLogged: accessLogFilter(process.env) },
        authentication: { token: config.auth.token, transitioning: config.auth.transitioning, ...authenticationCounts(metrics) },
        cacheInvalidation: { beginChange: cacheMarks(storages, logger) },
      }),
      contextExtras: {
        flags: (headers) =>
          new RequestFlags(headers, { onChecked: (name, enabled) => metrics.callers.featureFlagCheck(name, enabled).inc() }),
        openSidechannel: (headers, peer, signal) => openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
      },
    };
    const [external, internal] = [new GrpcServer(options), new GrpcServer(options)];
    building.defer(async () => {
      await external.shutdown({ graceMs: 0 });
      await internal.shutdown({ graceMs: 0 });
    });
    const listeners = await openListeners(config, {
      internalSocket: runtime.internalSocket,
      logger,
      options: {
        onAccept: (transport) => transport !== 'internal' && metrics.callers.connection(transport).inc(),
        onConnection: (connection, peer) =>
          void demultiplex(connection, peer, {
            backchannels,
            onGrpc: (duplex, from) => (peer.transport === 'internal' ? internal : external).serveConnection(duplex, from),
          }),
      },
    });
    building.defer(async () => {
      for (const listener of listeners) await listener.destroy();
    });
    const state = { isReady: false };
    const monitoring = await startMonitoring(config, logger, metrics, () => state.isReady);
    if (monitoring !== undefined) building.adopt(monitoring, (running) => running.close());
    state.isReady = true;
    return new GitalyServer({ logger, external, internal, listeners, monitoring, state, resources: building.move() });
  }

  /**
   * Stops taking calls, first from outside and then from our own hooks, waits for the running ones as long as it takes, and takes
   * everything down.
   */
  async drain(): Promise<void> {
    this.#state.isReady = false;
    for (const listener of this.#listeners) if (listener.transport !== 'internal') await listener.stop();
    await this.#external.shutdown({ graceMs: NO_LIMIT_MS });
    await this[Symbol.asyncDispose]();
  }

  /** Aborts what runs and takes everything down. Safe to call twice, and while draining. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#logger.debug('server resources released');
  }
}

async function startMonitoring(
  config: GitalyConfig,
  logger: Logger,
  metrics: ServerMetrics,
  isReady: () => boolean,
): Promise<MonitoringServer | undefined> {
  if (!config.prometheusListenAddr) return undefined;
  // Loaded only where it is used, as it brings Node's HTTP server.
  const { startMonitoringServer } = await import('#platform/metrics/monitoring-server');
  const running = await startMonitoringServer(splitHostPort(config.prometheusListenAddr), {
    registry: metrics.registry,
    isReady,
  });
  logger.info({ address: joinHostPort(running.address) }, 'starting prometheus listener');
  return running;
}

function joinHostPort({ family, address, port }: MonitoringServer['address']): string {
  return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function authenticationCounts({ callers }: ServerMetrics): Pick<AuthenticationOptions, 'onChecked' | 'onTokenError'> {
  return {
    onChecked: (enforced, status) => callers.authentication(enforced, status).inc(),
    onTokenError: (reason) => callers.authenticationError(reason).inc(),
  };
}

/** The caller decides how long a drain may take. setTimeout takes no more. */
const NO_LIMIT_MS = 2_147_483_647;
