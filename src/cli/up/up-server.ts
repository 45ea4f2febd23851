import type { Secret } from '#base/secret';
import type { ConsoleOptions } from '#console/index';
import { configFrom, createLogger, type GitalyConfig, GitalyServer, type Logger } from '#gitaly/index';
import type { ProcessFamily } from '#workers/family';
import type { UpBundles } from './up-bundles.ts';
import type { UpDirectory } from './up-directory.ts';
import type { UpEvents } from './up-events.ts';
import type { UpGrpc } from './up-grpc.ts';
import type { UpLfs } from './up-lfs.ts';
import type { UpReport } from './up-report.ts';
import type { GatewayTarget } from './up-ssh.ts';

/** The one server or the cluster behind the gateways. */
export interface UpServer
  extends AsyncDisposable,
    Required<Pick<UpReport, 'grpc' | 'storages'>>,
    Pick<UpReport, 'cluster' | 'metrics'> {
  readonly target: GatewayTarget;
  /** The part of the console's options that the server supplies. */
  readonly console?: Pick<
    ConsoleOptions,
    'cancel' | 'cluster' | 'history' | 'lastWrites' | 'nodes' | 'scanner' | 'status'
  >;
  /** Deals with an exception that nothing caught, if it can. */
  contain(exception: unknown): boolean;
  /** Lets the calls of other processes finish, if there are some, and ends these. */
  drainOthers?(): Promise<void>;
}

const STORAGE = 'default';

export interface UpServerOptions {
  readonly bundles: UpBundles | undefined;
  readonly grpc: UpGrpc;
  readonly events: UpEvents | undefined;
  /** URL of the archive of the repositories. */
  readonly archive: string | undefined;
  readonly lfs: UpLfs | undefined;
  /** `HOST:PORT` of the listener for monitoring. */
  readonly metrics: string | undefined;
  /** A console shows the state of the server. */
  readonly hasConsole: boolean;
}

/** How the server of a process starts, besides its configuration. */
export interface UpServerSettings {
  readonly trustsUnixSockets: boolean;
  readonly keepsHistory: boolean;
  /** Token of gRPC clients. */
  readonly token: Secret | undefined;
  /** True with a change feed. */
  readonly hasEvents: boolean;
}

const LOGGING = { format: 'text', level: 'warn' } as const;

/** Returns the log of the server: what needs attention, on standard error. */
export function upLogger(): Logger {
  return createLogger({ ...LOGGING, stream: process.stderr });
}

export function upConfig(
  directory: UpDirectory,
  { archive, bundles, events, grpc: { listen, token }, lfs, metrics }: UpServerOptions,
): GitalyConfig {
  return configFrom({
    socket_path: directory.socket,
    runtime_dir: directory.runtime,
    storage: [{ name: STORAGE, path: directory.repositories, ...(archive !== undefined && { archive }) }],
    logging: LOGGING,
    git: { hide_gitlab_references: false },
    ...(token !== undefined && { auth: { token: token.reveal() } }),
    ...(metrics !== undefined && { prometheus_listen_addr: metrics }),
    ...(bundles && { bundle_uri: bundles.server }),
    ...(lfs && { lfs }),
    ...events,
    ...listen,
  });
}

export function upSettings({ events, grpc, hasConsole }: UpServerOptions): UpServerSettings {
  const { token, trustsUnixSockets } = grpc;
  return { trustsUnixSockets, keepsHistory: hasConsole, token, hasEvents: events !== undefined };
}

/** Returns the server as the gateways of its process reach it. */
export function targetOf(
  server: GitalyServer,
  { token, trustsUnixSockets }: Pick<UpServerSettings, 'token' | 'trustsUnixSockets'>,
): GatewayTarget {
  return {
    address: server.addresses.unix ?? server.addresses.internal,
    connect: () => server.connect(),
    openSession: (_duplex, common) => server.openSession(common),
    storage: STORAGE,
    ...(!trustsUnixSockets && token !== undefined && { token: token.reveal() }),
  };
}

export interface StartUpServerOptions {
  readonly config: GitalyConfig;
  readonly settings: UpServerSettings;
  readonly logger: Logger;
  /** Reasons why the gateways do not serve clients. */
  readonly problems: () => readonly string[];
  /** The further processes, if there can be some. */
  readonly family: ProcessFamily | undefined;
}

export async function startUpServer(
  directory: UpDirectory,
  { config, family, logger, problems, settings }: StartUpServerOptions,
): Promise<UpServer> {
  const { keepsHistory, trustsUnixSockets } = settings;
  const options = { config, logger, trustsUnixSockets, keepsHistory, problems };
  const server = await GitalyServer.start(options, family);
  const target = targetOf(server, settings);
  return {
    target,
    drainOthers: async () => await family?.drainOthers(),
    console: {
      status: () => server.status(),
      history: () => server.history(),
      cancel: (correlationId) => server.cancel(correlationId),
      lastWrites: (relativePaths) => server.lastWrites(STORAGE, relativePaths),
      scanner: server.scanner(STORAGE),
    },
    grpc: [server.addresses.tcp, target.address].filter((one) => one !== undefined),
    storages: [{ name: STORAGE, path: directory.repositories }],
    metrics: server.monitoringAddress,
    contain: (exception) => server.contain(exception),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
