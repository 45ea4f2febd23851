import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, dial } from '#client/index';
import { makeScratchDirectory } from './scratch-directory.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './start-gitaly.ts';

/** A server in a process of its own, on a temp directory that outlives it until this object is disposed. */
export interface GitalyProcess extends AsyncDisposable {
  readonly directory: string;
  readonly address: string;
  readonly pid: number;
  /** Its own socket for hooks, `unix:<path>`. */
  readonly internalAddress: string;
  /** `host:port`; undefined without `everyListener`. */
  readonly tcp: string | undefined;
  readonly tls: string | undefined;
  readonly monitoring: string | undefined;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** What it has logged so far. */
  log(): string;
  connect(): Promise<Connection>;
  /** Sends a message to the module that was loaded first, and resolves with its answer; one at a time. */
  ask(message: object): Promise<unknown>;
  kill(signal: NodeJS.Signals): void;
}

export interface GitalyProcessOptions {
  /** An existing directory with a storage `default`, to start on what an earlier process left; its owner removes it. */
  readonly directory?: string;
  /** `graceful_restart_timeout`. */
  readonly grace?: string;
  /** Listen on loopback TCP, with and without TLS, and for the monitoring beside the unix socket. */
  readonly everyListener?: boolean;
  /** More lines of the configuration file; tables only. */
  readonly config?: string;
  /** How many descriptors the process may have open; default: what this one may. */
  readonly maxDescriptors?: number;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A module that the process loads before anything else. It answers {@link GitalyProcess.ask} with `process.send`. */
  readonly preload?: string;
}

const CLI = join(import.meta.dirname, '../cli/gitaly.ts');
/** Halves the time of a start; not under version control. */
const COMPILE_CACHE = join(import.meta.dirname, '../../.cache/compiled');
const START_LIMIT_MS = 20_000;
/** How much of the log goes into the error when the server has gone: its last words are why. */
const LAST_WORDS = 4000;

/** Starts `gitaly serve` as an operator would, and waits until it takes calls. */
export async function startGitalyProcess(options: GitalyProcessOptions = {}): Promise<GitalyProcess> {
  const directory = options.directory ?? makeScratchDirectory('process');
  for (const name of ['default', 'run']) mkdirSync(join(directory, name), { recursive: true });
  const socket = join(directory, 'gitaly.socket');
  const config = join(directory, 'config.toml');
  writeFileSync(config, configText(directory, socket, options));
  const limit = options.maxDescriptors === undefined ? '' : `ulimit -n ${options.maxDescriptors}; `;
  const { preload } = options;
  const nodeOptions = ['--conditions=source', ...(preload === undefined ? [] : ['--import', preload])];
  const command = [process.execPath, ...nodeOptions, CLI, 'serve', config];
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe', ...(preload === undefined ? [] : (['ipc'] as const))],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...options.env },
  });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => output.push(chunk));
  const log = (): string => Buffer.concat(output).toString();
  const exited = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('close', (code, signal) => resolve(signal ?? code ?? -1)),
  );
  await started(child, log);

  const connections: Connection[] = [];
  return {
    directory,
    address: `unix:${socket}`,
    pid: child.pid ?? 0,
    internalAddress: `unix:${listenerIn(log(), 'internal')}`,
    tcp: listenerIn(log(), 'tcp'),
    tls: listenerIn(log(), 'tls'),
    monitoring: /msg="starting prometheus listener" address="([^"]+)"/.exec(log())?.[1],
    exited,
    log,
    async connect() {
      const connection = await dial(`unix:${socket}`);
      connections.push(connection);
      return connection;
    },
    async ask(message) {
      if (!child.connected) throw new Error(`gitaly is gone: ${log().slice(-LAST_WORDS)}`);
      const answer = once(child, 'message');
      child.send(message);
      return (await answer)[0];
    },
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      for (const connection of connections) await connection.close();
      child.kill('SIGKILL');
      await exited;
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configText(directory: string, socket: string, options: GitalyProcessOptions): string {
  const loopback = '"127.0.0.1:0"';
  const more = `listen_addr = ${loopback}\ntls_listen_addr = ${loopback}\nprometheus_listen_addr = ${loopback}
[tls]\ncertificate_path = "${TEST_CERTIFICATE}"\nkey_path = "${TEST_KEY}"`;
  return `socket_path = "${socket}"
graceful_restart_timeout = "${options.grace ?? '1m'}"
runtime_dir = "${join(directory, 'run')}"
${options.everyListener ? more : ''}
[[storage]]
name = "default"
path = "${join(directory, 'default')}"
${options.config ?? ''}
`;
}

function listenerIn(log: string, schema: string): string | undefined {
  return new RegExp(`msg="listening at address" address="?([^" ]+)"? .*schema=${schema}$`, 'm').exec(log)?.[1];
}

/** Waits for the log line that says so. */
function started(child: ChildProcess, log: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => fail('took too long to start'), START_LIMIT_MS);
    const fail = (why: string): void => {
      clearTimeout(limit);
      child.kill('SIGKILL');
      reject(new Error(`gitaly ${why}: ${log()}`));
    };
    child.once('exit', (code) => fail(`ended with exit code ${code}`));
    child.stdout?.on('data', () => {
      if (!log().includes('Started Gitaly')) return;
      clearTimeout(limit);
      child.removeAllListeners('exit');
      resolve();
    });
  });
}
