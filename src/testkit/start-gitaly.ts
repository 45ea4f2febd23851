import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkNames, type NamesOf } from '#base/check-names';
import { DIAL_NAMES } from '#client/dial-options';
import { type Connection, type DialOptions, dial } from '#client/index';
import { type Addresses, GitalyServer, type GitalyServerOptions } from '#gitaly/gitaly-server';
import { configFrom } from '#platform/config/load-config';
import type { Logger, LogLevel } from '#platform/log/logger';
import { Faults } from './faults/faults.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './fixtures/test-certificate.ts';
import { lineLogger } from './line-logger.ts';
import { makeScratchDirectory } from './scratch-directory.ts';
import type { InternalApi } from './servers/internal-api.ts';
import { type ServedRepositories, servedRepositories } from './servers/served-repositories.ts';

export interface StartGitalyOptions {
  /** Names of the storages; default `['default']`. */
  readonly storages?: readonly string[];
  readonly token?: string;
  /** Listens on loopback TCP, without and with TLS, in addition to the Unix socket. */
  readonly tcp?: boolean;
  readonly tls?: boolean;
  /** API that decides on pushes; without one the server runs stand-alone. */
  readonly internalApi?: InternalApi;
  /** Uses `<directory>/custom_hooks` as `[hooks] custom_hooks_dir`. */
  readonly customHooks?: boolean;
  /** Additional keys of the configuration file; a function gets the server's directory. */
  readonly config?:
    | Readonly<Record<string, unknown>>
    | ((directory: string) => Readonly<Record<string, unknown>>);
  readonly dial?: DialOptions;
  readonly logLevel?: LogLevel;
}

/** The names of all options; the compiler checks that none is missing. */
export const OPTION_NAMES: NamesOf<StartGitalyOptions> = {
  storages: true,
  token: true,
  tcp: true,
  tls: true,
  internalApi: true,
  customHooks: true,
  config: true,
  dial: DIAL_NAMES,
  logLevel: true,
};

/**
 * A real server on a temporary directory, with a connection to it. Disposing stops it, checks that
 * nothing leaked, and removes everything.
 */
export interface TestGitaly extends AsyncDisposable, ServedRepositories {
  readonly directory: string;
  /** `unix:<path>`. */
  readonly address: string;
  readonly addresses: Addresses;
  readonly connection: Connection;
  /** Decoded JSON lines of the log. */
  readonly log: readonly Record<string, unknown>[];
  /** Makes calls fail. */
  readonly faults: Faults;
  /** The Gitalys of a cluster; without a cluster only this one. */
  readonly nodes: readonly TestGitaly[];
  /** Does what disposing does, for runners and languages without `await using`. A second call waits. */
  close(): Promise<void>;
  /** Directory of a storage; default `default`, in a cluster the storage of its first node. */
  storagePath(name?: string): string;
}

/**
 * Starts a server in this process.
 *
 * @throws {TypeError} for an option that does not exist, {ConfigError} for such a key of `config`;
 *   with the nearest name
 */
export async function startGitaly(options: StartGitalyOptions = {}): Promise<TestGitaly> {
  checkNames('startGitaly', options, OPTION_NAMES);
  return await startGitalyWith(options, ({ config, faults, logger }) =>
    GitalyServer.start({ config, logger, faults }),
  );
}

/** Options of the function that starts the server of {@link startGitalyWith}. */
export interface StartWithOptions extends Required<Pick<GitalyServerOptions, 'config' | 'faults'>> {
  readonly logger: Logger;
  /** Decoded lines of the logger. */
  readonly log: readonly Record<string, unknown>[];
}

/** Starts a server with another function. */
export async function startGitalyWith(
  options: StartGitalyOptions,
  start: (options: StartWithOptions) => Promise<GitalyServer>,
): Promise<TestGitaly> {
  const directory = makeScratchDirectory('test');
  try {
    return await startIn(directory, options, start);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(
  directory: string,
  options: StartGitalyOptions,
  start: (options: StartWithOptions) => Promise<GitalyServer>,
): Promise<TestGitaly> {
  const storages = options.storages ?? ['default'];
  for (const name of [...storages, 'run']) mkdirSync(join(directory, name));
  const { lines: log, logger } = lineLogger(options.logLevel);
  const faults = new Faults();
  const config = configFrom(configOf(directory, storages, options));
  await using starting = new AsyncDisposableStack();
  const server = starting.use(await start({ config, faults: faults.injector, log, logger }));
  const address = server.addresses.unix ?? '';
  const token = options.token === undefined ? {} : { token: options.token };
  const connection = starting.use(await dial(address, { ...token, ...options.dial }));
  const resources = starting.move();

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    try {
      await resources.disposeAsync();
      checkNothingLeft(directory, storages);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
  const closeOnce = (): Promise<void> => {
    closed ??= close();
    return closed;
  };
  const storagePath = (name = 'default'): string => join(directory, name);
  const gitaly: TestGitaly = {
    directory,
    address,
    addresses: server.addresses,
    connection,
    log,
    faults,
    get nodes() {
      return [gitaly];
    },
    storagePath,
    ...servedRepositories(connection, ({ storageName, relativePath }) => [
      join(storagePath(storageName), relativePath),
    ]),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
  return gitaly;
}

function configOf(
  directory: string,
  storages: readonly string[],
  options: StartGitalyOptions,
): Record<string, unknown> {
  return {
    socket_path: join(directory, 'gitaly.socket'),
    runtime_dir: join(directory, 'run'),
    storage: storages.map((name) => ({ name, path: join(directory, name) })),
    logging: { format: 'json' },
    // It would start at any time of a test.
    daily_maintenance: { disabled: true },
    housekeeping: { automatic: false },
    ...(options.tcp && { listen_addr: '127.0.0.1:0' }),
    ...(options.tls && {
      tls_listen_addr: '127.0.0.1:0',
      tls: { certificate_path: TEST_CERTIFICATE, key_path: TEST_KEY },
    }),
    ...(options.token !== undefined && { auth: { token: options.token } }),
    ...(options.internalApi && {
      gitlab: { url: options.internalApi.url, secret: options.internalApi.secret },
    }),
    ...(options.customHooks && { hooks: { custom_hooks_dir: join(directory, 'custom_hooks') } }),
    ...(typeof options.config === 'function' ? options.config(directory) : options.config),
  };
}

/**
 * Checks that a stopped server leaves no socket, no runtime directory and no temporary directory.
 */
function checkNothingLeft(directory: string, storages: readonly string[]): void {
  const left = [
    ...entriesOf(join(directory, 'run')),
    ...(existsSync(join(directory, 'gitaly.socket')) ? [join(directory, 'gitaly.socket')] : []),
    ...storages.flatMap((name) => entriesOf(join(directory, name, '+gitaly/tmp'))),
  ];
  if (left.length > 0) throw new Error(`the server left files behind: ${left.join(', ')}`);
}

function entriesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}
