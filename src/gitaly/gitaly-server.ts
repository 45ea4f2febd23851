import type { Duplex } from 'node:stream';
import type { Archive } from '#archive/archive';
import { checkNames, type NamesOf } from '#base/check-names';
import { startCallReports } from '#calls/call-reports';
import type { Exceptions } from '#calls/exceptions';
import { familyCalls, type ServerCalls } from '#calls/family-calls';
import type { ServerHistory } from '#calls/history/call-history';
import { serverStatus } from '#calls/top/server-status';
import type { ServerStatus } from '#calls/top/status';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Logger, type LogTarget, loggerFor } from '#platform/log/logger';
import type { ListeningSocket, TakeSocket } from '#platform/process/handover/listening-socket';
import type { ClientSession, CommonHeaders } from '#rpc/common/grpc/client-session';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { Front } from '#rpc/server/front';
import { RepositoryScan } from '#storage/repository-scan';
import { LastWrites } from '#storage/statistics/last-write';
import type { Storages } from '#storage/storages';
import type { ProcessFamily } from '#workers/family';
import { noteArchive, noteStorages } from './archive.ts';
import { createFoundation, type Foundation } from './foundation.ts';
import { interceptors } from './interceptors.ts';
import { createLimits, type Limits } from './limits/create-limits.ts';
import { checkLimitedMethods } from './limits/unknown-methods.ts';
import { openRepositories, type ServerRepositories } from './repositories.ts';
import { createServices } from './services/create-services.ts';

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
  /**
   * Resolves when the process that this one replaces has ended. Default: it has, or there was none.
   */
  readonly predecessorEnded?: Promise<void> | undefined;
  /** For tests of clients: makes external calls fail. */
  readonly faults?: FaultInjector | undefined;
  /**
   * Copies git and the programs that it starts to the runtime directory, for a server that runs
   * longer than the files on disk stay the same. Default false.
   */
  readonly copiesPrograms?: boolean;
  /** Keeps the figures of the last hour and the last slow calls in memory. Default false. */
  readonly keepsHistory?: boolean;
  /**
   * Returns a line for each reason why clients cannot be served yet, besides those of the server:
   * `/-/ready` of the monitoring server is 503 as long as there are some. Default: none.
   */
  readonly problems?: () => readonly string[];
}

const NAMES: NamesOf<GitalyServerOptions> = {
  config: true,
  logger: true,
  trustsUnixSockets: true,
  takeSocket: true,
  predecessorEnded: true,
  faults: true,
  copiesPrograms: true,
  keepsHistory: true,
  problems: true,
};

/** Addresses of a server; an address that is not configured is `undefined`. */
export interface Addresses {
  /** `unix:<path>`. */
  readonly unix: string | undefined;
  /** `tcp://host:port`. */
  readonly tcp: string | undefined;
  /** `tls://host:port`. */
  readonly tls: string | undefined;
  /** `unix:<path>`, for hooks and the server itself. */
  readonly internal: string;
}

interface ServerState {
  readonly front: Front;
  readonly calls: ServerCalls;
  readonly storages: Storages;
  readonly archive: Archive | undefined;
  /** Ends calls that would last for ever. */
  readonly onDrain: () => void;
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

  readonly #family: ProcessFamily | undefined;
  readonly #calls: ServerCalls;
  readonly #onDrain: () => void;
  readonly #storages: Storages;
  readonly #lastWrites: LastWrites;

  private constructor(
    { exceptions, family, logger, runtime }: Foundation,
    { archive, calls, front, onDrain, storages }: ServerState,
    resources: AsyncDisposableStack,
  ) {
    this.#family = family;
    this.#calls = calls;
    this.#onDrain = onDrain;
    this.#storages = storages;
    noteStorages(this, storages);
    if (archive !== undefined) noteArchive(this, archive);
    this.#lastWrites = new LastWrites(storages);
    this.addresses = { ...front.addresses, internal: `unix:${runtime.internalSocket}` };
    this.monitoringAddress = front.monitoringAddress;
    this.#logger = logger;
    this.#front = front;
    this.#resources = resources;
    this.#exceptions = exceptions;
  }

  /**
   * Builds a server from the bottom up and opens its sockets. If a step fails, the earlier ones are
   * undone.
   *
   * @param family the other processes of a server that has several; default: it has one.
   * @throws {Error} that describes the problem: no usable git, a socket in use, an unreadable
   *   certificate; {ConfigError} for a limit of an RPC that does not exist.
   */
  static async start(options: GitalyServerOptions, family?: ProcessFamily): Promise<GitalyServer> {
    checkNames('GitalyServer.start', options, NAMES);
    const { config, logger: target = SILENT, trustsUnixSockets = false, takeSocket, faults } = options;
    const { copiesPrograms = false, keepsHistory = false, problems = () => [] } = options;
    const { predecessorEnded } = options;
    const own = { copiesPrograms, keepsHistory, predecessorEnded };
    const logger = loggerFor(target);
    for (const { key, message } of checkLimitedMethods(config)) logger.warn({ key }, message);
    const startedAtMs = performance.now();
    await using building = new AsyncDisposableStack();
    const foundation = await createFoundation({ config, logger, family, ...own }, building);
    const repositories = await openRepositories(foundation, building);
    const limits = createLimits(foundation, building);
    const services = await createServices(foundation, repositories, limits.packs, building);
    const { metrics, runtime } = foundation;
    const { calls, history } = foundation;
    const ownCalls: ServerCalls = {
      status: startStatus({ ...foundation, ...repositories }, limits, building),
      history: async () => history?.read(),
      cancel: async (correlationId) => calls.cancel(correlationId),
    };
    const serverCalls = familyCalls(ownCalls, family);
    const front = building.use(
      await Front.open({
        config,
        logger,
        metrics,
        services,
        interceptors: await interceptors({
          ...foundation,
          ...repositories,
          limits,
          trustsUnixSockets,
          faults,
        }),
        onFlagChecked: (name, enabled) => metrics.callers.featureFlagCheck(name, enabled).inc(),
        trustsUnixSockets,
        backchannels: foundation.backchannels,
        monitoring: {
          problems: async () => [...(await repositories.storages.presence.problems()), ...problems()],
          status: () => serverCalls.status(),
          others: family?.role === 'supervisor' ? family.monitoring : undefined,
        },
        internalSocket: runtime.internalSocket,
        takeSocket,
        sharing: family?.sharing,
        faults,
      }),
    );
    foundation.tracing?.started(startedAtMs);
    if (family !== undefined) {
      const { registry } = metrics;
      family.onStarted({ front, directory: runtime.path, onOtherEnded: repositories.cleanAfter, registry });
      building.defer(() => family.endOthers());
    }
    const onDrain = (): void => repositories.feed?.ending.abort();
    const { archive, storages } = repositories;
    const state = { archive, front, calls: serverCalls, storages, onDrain };
    return new GitalyServer(foundation, state, building.move());
  }

  /**
   * Deals with an exception that nothing in this process has caught. @see Exceptions.contain
   */
  contain(exception: unknown): boolean {
    return this.#exceptions.contain(exception);
  }

  /**
   * Opens a connection from this process and returns the client's end. It is treated as one over a
   * Unix socket, but its bytes stay in the process. The server closes it when it stops.
   *
   * @throws {Error} when the server stops.
   */
  connect(): Duplex {
    return this.#front.connect();
  }

  /**
   * Opens a session for calls from this process, without HTTP/2: for `dialLocal`. Calls with
   * sidechannels need {@link connect}.
   *
   * @throws {Error} when the server stops.
   */
  openSession(common: CommonHeaders): ClientSession {
    return this.#front.openSession(common);
  }

  /** Returns the server's current activity: the JSON of `/debug/top`. */
  async status(): Promise<ServerStatus> {
    return await this.#calls.status();
  }

  /** Returns the last hour and the last slow calls; `undefined` without `keepsHistory`. */
  async history(): Promise<ServerHistory | undefined> {
    return await this.#calls.history();
  }

  /** Ends the running calls with a correlation id, with CANCELLED. @returns their number. */
  async cancel(correlationId: string): Promise<number> {
    return await this.#calls.cancel(correlationId);
  }

  /**
   * Returns the times at which the references or objects of repositories last changed: Unix times
   * in milliseconds, 0 for a repository that is missing.
   */
  async lastWrites(storageName: string, relativePaths: readonly string[]): Promise<number[]> {
    return await this.#lastWrites.of(storageName, relativePaths);
  }

  /** Returns what finds the repositories of a storage. @throws {GitalyError} INVALID_ARGUMENT */
  scanner(storageName: string): RepositoryScan {
    return new RepositoryScan(this.#storages.storage(storageName));
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
    this.#onDrain();
    await Promise.all([this.#front.drain(), this.#family?.drainOthers()]);
    await this[Symbol.asyncDispose]();
  }

  /** Aborts running calls and closes everything. It can be called twice, and while draining. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#logger.debug('server resources released');
  }
}

/** Starts the reports of calls. Returns the function for `/debug/top`. `resources` ends the reports. */
function startStatus(
  { calls, git, gitCalls, logger, metrics, webhooks }: Foundation & ServerRepositories,
  limits: Limits,
  resources: AsyncDisposableStack,
): () => Promise<ServerStatus> {
  const blockedCalls = resources.use(startCallReports(calls, metrics, logger));
  return () =>
    serverStatus({
      gitVersion: git.version,
      calls,
      limits: limits.byMethod,
      packLimits: limits.packs,
      gitCalls: gitCalls.counts,
      registry: metrics.registry,
      blockedCalls,
      webhooks: webhooks && (() => webhooks.status()),
    });
}
