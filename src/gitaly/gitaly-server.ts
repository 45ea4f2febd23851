import { messageOf } from '#base/gitaly-error';
import { Git } from '#git/git';
import type { GitalyConfig } from '#platform/config/load-config';
import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import { createRuntimeDirectory } from '#platform/process/runtime-directory';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc-channel';
import { Backchannels } from '#rpc/server/backchannels';
import { interceptorChain } from '#rpc/server/chain';
import { demultiplex } from '#rpc/server/demultiplexer';
import { GrpcServer, type GrpcServerOptions } from '#rpc/server/grpc-server';
import type { Listener } from '#rpc/server/listener';
import { openCallSidechannel } from '#rpc/server/open-sidechannel';
import { ensureStorageMetadata } from '#storage/storage-metadata';
import { Storages } from '#storage/storages';
import { startBackgroundJobs } from './background-jobs.ts';
import { cacheMarks } from './cache-marks.ts';
import { type Addresses, addressesOf, openListeners } from './listeners.ts';
import { createMetrics } from './metrics.ts';
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
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: {
    logger: Logger;
    external: GrpcServer;
    internal: GrpcServer;
    listeners: readonly Listener[];
    resources: AsyncDisposableStack;
  }) {
    this.addresses = addressesOf(parts.listeners);
    this.#logger = parts.logger;
    this.#external = parts.external;
    this.#internal = parts.internal;
    this.#listeners = parts.listeners;
    this.#resources = parts.resources;
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
    const git = building.adopt(
      await Git.start({
        binary: process.env.GITALY_TESTING_GIT_BINARY || config.git.binPath || 'git',
        config: config.git.config,
        catFileProcesses: config.git.catfileCacheSize > 0 ? config.git.catfileCacheSize : 100,
        observer: metrics.observeCommand,
      }),
      (running) => running.close(),
    );
    metrics.setBuildInfo(git.version);
    logger.info({ binary_path: git.binary, version: git.version }, 'using Git version');

    const storages = new Storages({ storages: config.storage, git });
    for (const storage of storages.all) {
      await ensureStorageMetadata(storage).catch((error: unknown) =>
        logger.error({ error: messageOf(error), storage: storage.name }, 'Unable to write gitaly metadata file'),
      );
    }

    const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
    const { services, resources } = await createServices({ config, logger, metrics, storages, git, runtime, backchannels });
    building.use(resources);
    building.use(startBackgroundJobs(storages, logger));

    const options: GrpcServerOptions = {
      services,
      interceptors: interceptorChain({
        metrics: metrics.countCalls,
        accessLog: { logger, isLogged: accessLogFilter(process.env) },
        authentication: { token: config.auth.token, transitioning: config.auth.transitioning, ...metrics.authentication },
        cacheInvalidation: { beginChange: cacheMarks(storages, logger) },
      }),
      contextExtras: {
        flags: (headers) => new RequestFlags(headers, { onChecked: metrics.countFlagCheck }),
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
        onAccept: metrics.countConnection,
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
    return new GitalyServer({ logger, external, internal, listeners, resources: building.move() });
  }

  /**
   * Stops taking calls, first from outside and then from our own hooks, waits for the running ones as long as it takes, and takes
   * everything down.
   */
  async drain(): Promise<void> {
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

/** The caller decides how long a drain may take. setTimeout takes no more. */
const NO_LIMIT_MS = 2_147_483_647;
