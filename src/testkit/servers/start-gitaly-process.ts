import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, dial } from '#client/index';
import { TEST_CERTIFICATE, TEST_KEY } from '../fixtures/test-certificate.ts';
import { programCommand, sourceCommand } from '../programs/program-command.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';

/**
 * A server in a separate process, on a temporary directory that stays until this object is
 * disposed.
 */
export interface GitalyProcess extends AsyncDisposable {
  readonly directory: string;
  readonly address: string;
  readonly pid: number;
  /** Address of its socket for hooks, `unix:<path>`. */
  readonly internalAddress: string;
  /** `host:port`; undefined without `everyListener`. */
  readonly tcp: string | undefined;
  readonly tls: string | undefined;
  readonly monitoring: string | undefined;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Returns the log so far. */
  log(): string;
  connect(): Promise<Connection>;
  /** Sends a message to the preloaded module and resolves with its response; one at a time. */
  ask(message: object): Promise<unknown>;
  kill(signal: NodeJS.Signals): void;
}

export interface GitalyProcessOptions {
  /**
   * An existing directory with a storage `default`, to start on data of an earlier process; its
   * owner removes it.
   */
  readonly directory?: string;
  /** Name of the storage in the directory `default`; default `default`. */
  readonly storage?: string;
  /** URL of the archive of the storage; default: none. */
  readonly archive?: string;
  /** `graceful_restart_timeout`. */
  readonly grace?: string;
  /**
   * Listens on loopback TCP, with and without TLS, and for monitoring, in addition to the Unix
   * socket.
   */
  readonly everyListener?: boolean;
  /** Files for the TLS listener of `everyListener`, instead of the testkit's. */
  readonly tls?: { readonly certificatePath: string; readonly keyPath: string };
  /**
   * Starts maintenance after writes, as in production. Default false: it would start at any time.
   */
  readonly maintenance?: boolean;
  /** Additional lines of the configuration file; tables only. */
  readonly config?: string;
  /** Limit of the process's open descriptors; default: that of this process. */
  readonly maxDescriptors?: number;
  /** Variables added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: that of this process. */
  readonly workingDirectory?: string;
  /**
   * Receives the log from the start on, instead of `log()`, which then keeps only that of the
   * start.
   */
  readonly onLog?: (text: string) => void;
  /**
   * A module that the process loads before the program. It responds to {@link GitalyProcess.ask}
   * with `process.send`.
   */
  readonly preload?: string;
  /**
   * Runs the program from source: for a `preload` that changes its modules, and without the work in
   * the background that the built program does seconds after its start.
   */
  readonly fromSource?: boolean;
}

/** Compile cache, which halves the time of a start; not under version control. */
const COMPILE_CACHE = join(import.meta.dirname, '../../../.cache/compiled');
/** Time limit of a start. It is long, because a busy machine is slow. */
const START_LIMIT_MS = 120_000;
/** Characters of the log in the error when the server has ended; the reason is at its end. */
const LOG_TAIL_LENGTH = 4000;

/** Starts `gitaly serve` as an operator would, and waits until it accepts calls. */
export async function startGitalyProcess(options: GitalyProcessOptions = {}): Promise<GitalyProcess> {
  const directory = options.directory ?? makeScratchDirectory('process');
  for (const name of ['default', 'run']) mkdirSync(join(directory, name), { recursive: true });
  const socket = join(directory, 'gitaly.socket');
  const config = join(directory, 'config.toml');
  writeFileSync(config, configText(directory, socket, options));
  const limit = options.maxDescriptors === undefined ? '' : `ulimit -n ${options.maxDescriptors}; `;
  const { preload } = options;
  const program = options.fromSource ? sourceCommand('gitaly') : programCommand('gitaly');
  const loaded = preload === undefined ? program : ['--import', preload, ...program];
  const command = [process.execPath, ...loaded, 'serve', config];
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe', ...(preload === undefined ? [] : (['ipc'] as const))],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...options.env },
    cwd: options.workingDirectory,
  });
  const output: Buffer[] = [];
  let isKept = true;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      if (isKept) output.push(chunk);
      options.onLog?.(chunk.toString());
    });
  }
  const log = (): string => Buffer.concat(output).toString();
  const exited = once(child, 'close').then(([code, signal]): number | NodeJS.Signals => signal ?? code ?? -1);
  await started(child, log);
  isKept = options.onLog === undefined;

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
      if (!child.connected) throw new Error(`gitaly is gone: ${log().slice(-LOG_TAIL_LENGTH)}`);
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
  const { certificatePath, keyPath } = options.tls ?? {
    certificatePath: TEST_CERTIFICATE,
    keyPath: TEST_KEY,
  };
  const more = `listen_addr = ${loopback}\ntls_listen_addr = ${loopback}\nprometheus_listen_addr = ${loopback}
[tls]\ncertificate_path = "${certificatePath}"\nkey_path = "${keyPath}"`;
  return `socket_path = "${socket}"
graceful_restart_timeout = "${options.grace ?? '1m'}"
runtime_dir = "${join(directory, 'run')}"
${options.everyListener ? more : ''}
[[storage]]
name = "${options.storage ?? 'default'}"
path = "${join(directory, 'default')}"
${options.archive === undefined ? '' : `archive = "${options.archive}"`}
[daily_maintenance]
disabled = true
[housekeeping]
automatic = ${options.maintenance ?? false}
${options.config ?? ''}
`;
}

function listenerIn(log: string, schema: string): string | undefined {
  return new RegExp(`msg="listening at address" address="?([^" ]+)"? .*schema=${schema}(?: |$)`, 'm').exec(
    log,
  )?.[1];
}

/** Waits for the log line of a successful start. */
function started(child: ChildProcess, log: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => fail('took too long to start'), START_LIMIT_MS);
    const fail = (why: string): void => {
      clearTimeout(limit);
      child.kill('SIGKILL');
      reject(new Error(`gitaly ${why}: ${log()}`));
    };
    child.once('exit', (code) => fail(`ended with exit code ${code}`));
    const onData = (): void => {
      if (!log().includes('Started Gitaly')) return;
      clearTimeout(limit);
      child.removeAllListeners('exit');
      // Searching the whole log for each new piece would block a test that measures.
      child.stdout?.off('data', onData);
      resolve();
    };
    child.stdout?.on('data', onData);
  });
}
