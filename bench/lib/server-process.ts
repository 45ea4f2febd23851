import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#base/network/listening-port';
import { sourceCommand } from '#testkit/programs/program-command';

/** A server in a separate process, started from `bin/` as in production. */
export interface ServerProcess {
  readonly pid: number;
  /** Path of its Unix socket. */
  readonly socket: string;
  /** Milliseconds from the start of the process to its first accepted connection. */
  readonly readyMs: number;
  /** URL of the monitoring server, if it was asked for. */
  readonly monitoring?: string;
  connect(): Promise<Socket>;
  /** Idempotent. */
  stop(): Promise<void>;
}

const BIN = join(import.meta.dirname, '../../bin');
const POLL_MS = 2;
const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 5000;

export interface ServerOptions {
  /** Name of the first storage. */
  readonly storage?: string;
  /** URL of the archive of the first storage. Default: none. */
  readonly archive?: string | undefined;
  /** Additional tables of the configuration. */
  readonly settings?: string;
  /** Variables added to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the sources: a profile then has their files, and not those of the package. */
  readonly fromSource?: boolean;
  /** Port of 127.0.0.1 for monitoring. Default: none. */
  readonly monitoringPort?: number;
}

/**
 * Starts `gitaly serve` with a second storage next to the first. Its log goes to a file in
 * `directory`, as with a service manager.
 *
 * @param path of the first storage
 */
export async function startServer(
  directory: string,
  path: string,
  options: ServerOptions = {},
): Promise<ServerProcess> {
  const {
    archive,
    storage = 'default',
    settings = '',
    env = {},
    fromSource = false,
    monitoringPort,
  } = options;
  // Socket paths are limited to some 100 bytes, and the directory of a clone may be long.
  const sockets = mkdtempSync(join(tmpdir(), 'gitaly-bench-'));
  const socket = join(sockets, 'gitaly.socket');
  const config = join(sockets, 'config.toml');
  const second = join(directory, 'second');
  mkdirSync(second, { recursive: true });
  const monitoring = monitoringPort === undefined ? undefined : `127.0.0.1:${monitoringPort}`;
  writeFileSync(
    config,
    `socket_path = ${JSON.stringify(socket)}\nruntime_dir = ${JSON.stringify(sockets)}\n` +
      (monitoring === undefined ? '' : `prometheus_listen_addr = "${monitoring}"\n`) +
      '[logging]\nformat = "json"\n' +
      `[[storage]]\nname = "${storage}"\npath = ${JSON.stringify(path)}\n` +
      (archive === undefined ? '' : `archive = ${JSON.stringify(archive)}\n`) +
      `[[storage]]\nname = "second"\npath = ${JSON.stringify(second)}\n${settings}`,
  );
  const log = openSync(join(directory, 'gitaly.log'), 'a');
  const startedAt = performance.now();
  const [file = '', ...args] = fromSource
    ? [process.execPath, ...sourceCommand('gitaly')]
    : [join(BIN, 'gitaly')];
  const child = spawn(file, [...args, 'serve', config], {
    stdio: ['ignore', log, 'inherit'],
    env: { ...process.env, ...env },
  });
  const server = await running(child, socket, startedAt, sockets);
  return { ...server, ...(monitoring !== undefined && { monitoring: `http://${monitoring}` }) };
}

/**
 * Starts a server of Gitaly's own program, with settings as those of {@link startServer}. It uses
 * `git` instead of one that is built into it.
 */
export async function startPeer(
  program: string,
  {
    directory,
    storage,
    storageName = 'default',
    git,
    settings,
  }: {
    readonly directory: string;
    /** Path of its storage. */
    readonly storage: string;
    readonly storageName?: string;
    readonly git: string;
    readonly settings: string;
  },
): Promise<ServerProcess> {
  const sockets = mkdtempSync(join(tmpdir(), 'gitaly-bench-'));
  const socket = join(sockets, 'gitaly.socket');
  const config = join(sockets, 'config.toml');
  writeFileSync(
    config,
    `socket_path = ${JSON.stringify(socket)}\nruntime_dir = ${JSON.stringify(sockets)}\n` +
      `bin_dir = ${JSON.stringify(dirname(program))}\n[logging]\nformat = "json"\n` +
      `[[storage]]\nname = "${storageName}"\npath = ${JSON.stringify(storage)}\n${settings}`,
  );
  const log = openSync(join(directory, 'peer.log'), 'a');
  const startedAt = performance.now();
  const child = spawn(program, ['serve', config], {
    stdio: ['ignore', log, log],
    env: { ...process.env, GITALY_TESTING_GIT_BINARY: git },
  });
  return await running(child, socket, startedAt, sockets);
}

/** Starts `praefect` for nodes that are the virtual storage `default`. */
export async function startPraefect(
  directory: string,
  {
    host,
    nodes,
    program = join(BIN, 'praefect'),
    user,
  }: {
    readonly host: string;
    readonly user: string;
    /** Default: this project's. */
    readonly program?: string | undefined;
    readonly nodes: readonly { readonly storage: string; readonly socket: string }[];
  },
): Promise<ServerProcess> {
  const sockets = mkdtempSync(join(tmpdir(), 'gitaly-bench-'));
  const socket = join(sockets, 'praefect.socket');
  const config = join(sockets, 'config.toml');
  const node = (each: (typeof nodes)[number]): string =>
    `[[virtual_storage.node]]\nstorage = "${each.storage}"\naddress = "unix:${each.socket}"\n`;
  writeFileSync(
    config,
    `socket_path = ${JSON.stringify(socket)}\n[logging]\nformat = "json"\n` +
      `[database]\nhost = "${host}"\nport = 5432\nuser = "${user}"\ndbname = "postgres"\n` +
      'sslmode = "disable"\n' +
      `[[virtual_storage]]\nname = "default"\n${nodes.map(node).join('')}`,
  );
  const log = openSync(join(directory, 'praefect.log'), 'a');
  const startedAt = performance.now();
  const child = spawn(program, ['--config', config], { stdio: ['ignore', log, log] });
  return await running(child, socket, startedAt, sockets);
}

/** Starts a proxy of `node:http2` that passes calls on to a server as they are. */
export async function startBareProxy({ socket: target }: ServerProcess): Promise<ServerProcess> {
  const sockets = mkdtempSync(join(tmpdir(), 'gitaly-bench-'));
  const socket = join(sockets, 'proxy.socket');
  const startedAt = performance.now();
  const program = join(import.meta.dirname, '../bare-proxy.ts');
  const child = spawn(process.execPath, [program, socket, target], { stdio: 'inherit' });
  return await running(child, socket, startedAt, sockets);
}

/** Starts `gitaly-ts up` on the directory that contains `repositories/`. */
export async function startGateway(
  directory: string,
  { ssh = false, bundles = false } = {},
): Promise<ServerProcess & GatewayUrls> {
  const sockets = mkdtempSync(join(tmpdir(), 'gitaly-bench-'));
  const socket = join(sockets, 'gitaly.socket');
  const address = `127.0.0.1:${bundles ? await freePort() : 0}`;
  const startedAt = performance.now();
  const args = [
    'up',
    directory,
    '--http',
    address,
    '--grpc',
    `unix:${socket}`,
    ...(ssh ? ['--ssh', '127.0.0.1:0'] : []),
    ...(bundles ? ['--bundle-url', `http://${address}`] : []),
  ];
  const child = spawn(join(BIN, 'gitaly-ts'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const urls = await printedUrls(child.stdout);
  return { ...(await running(child, socket, startedAt, sockets)), ...urls };
}

/** URLs of the gateways. */
export interface GatewayUrls {
  readonly url: string;
  /** Empty without an SSH gateway. */
  readonly sshUrl: string;
}

async function running(
  child: ChildProcess,
  socket: string,
  startedAt: number,
  sockets: string,
): Promise<ServerProcess> {
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${child.spawnfile}; is dist/ built?`);
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await exited;
    clearTimeout(late);
    rmSync(sockets, { recursive: true, force: true });
  };
  while (performance.now() - startedAt < START_LIMIT_MS && child.exitCode === null) {
    const connection = await connectTo(socket).catch(() => undefined);
    if (connection === undefined) {
      await delay(POLL_MS);
      continue;
    }
    const readyMs = performance.now() - startedAt;
    connection.destroy();
    return { pid, socket, readyMs, connect: () => connectTo(socket), stop };
  }
  await stop();
  throw new Error('the server did not start');
}

async function connectTo(path: string): Promise<Socket> {
  const connection = connect(path);
  await once(connection, 'connect');
  return connection;
}

async function printedUrls(stdout: Readable): Promise<GatewayUrls> {
  let url = '';
  let sshUrl = '';
  for await (const line of createInterface({ input: stdout })) {
    url ||= /^\s*HTTP\s+(http:\S+)/.exec(line)?.[1] ?? '';
    sshUrl ||= /^\s*SSH\s+(ssh:[^\s,]+)/.exec(line)?.[1] ?? '';
    if (!line.includes('Ctrl-C')) continue;
    stdout.resume();
    return { url, sshUrl };
  }
  throw new Error('gitaly-ts up ended without an address');
}
