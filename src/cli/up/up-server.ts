import type { ConsoleOptions } from '#console/index';
import { configFrom, createLogger, GitalyServer } from '#gitaly/index';
import type { UpBundles } from './up-bundles.ts';
import type { UpDirectory } from './up-directory.ts';
import type { UpEvents } from './up-events.ts';
import type { UpGrpc } from './up-grpc.ts';
import type { UpReport } from './up-report.ts';
import type { GatewayTarget } from './up-ssh.ts';

/** The one server or the cluster behind the gateways. */
export interface UpServer
  extends AsyncDisposable,
    Required<Pick<UpReport, 'grpc' | 'storages'>>,
    Pick<UpReport, 'cluster'> {
  readonly target: GatewayTarget;
  /** The part of the console's options that a server in this process supplies. */
  readonly console?: Pick<ConsoleOptions, 'cancel' | 'cluster' | 'history' | 'lastWrites' | 'status'>;
  /** Deals with an exception that nothing caught, if it can. */
  contain(exception: unknown): boolean;
}

const STORAGE = 'default';

interface StartUpServerOptions {
  readonly bundles: UpBundles | undefined;
  readonly grpc: UpGrpc;
  readonly events: UpEvents | undefined;
  /** A console shows the state of the server. */
  readonly hasConsole: boolean;
}

/** Starts a server in this process. */
export async function startUpServer(
  directory: UpDirectory,
  { bundles, events, grpc, hasConsole }: StartUpServerOptions,
): Promise<UpServer> {
  const { listen, token, trustsUnixSockets } = grpc;
  const storage = { name: STORAGE, path: directory.repositories };
  const config = configFrom({
    socket_path: directory.socket,
    runtime_dir: directory.runtime,
    storage: [storage],
    ...(token !== undefined && { auth: { token: token.reveal() } }),
    ...(bundles && { bundle_uri: bundles.server }),
    ...events,
    ...listen,
  });
  const logger = createLogger({ format: 'text', level: 'warn', stream: process.stderr });
  const server = await GitalyServer.start({ config, logger, trustsUnixSockets, keepsHistory: hasConsole });
  const address = server.addresses.unix ?? server.addresses.internal;
  return {
    target: {
      address,
      connect: () => server.connect(),
      storage: STORAGE,
      ...(!trustsUnixSockets && token !== undefined && { token: token.reveal() }),
    },
    console: {
      status: () => server.status(),
      history: () => server.history(),
      cancel: (correlationId) => server.cancel(correlationId),
      lastWrites: (relativePaths) => server.lastWrites(STORAGE, relativePaths),
    },
    grpc: [server.addresses.tcp, address].filter((one) => one !== undefined),
    storages: [storage],
    contain: (exception) => server.contain(exception),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
