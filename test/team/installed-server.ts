import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { upSocket } from '#cli/up/up-directory';
import { type RunResult, run } from '#testkit/run-program';
import { until } from '#testkit/until';

/** The user `nobody`, as whom root runs the server. */
const NOBODY = 65_534;
const COMMAND_LIMIT_MS = 120_000;

/** The ports are fixed: clients keep the addresses, and the host key that they have seen. */
export interface Ports {
  readonly http: number;
  readonly ssh: number;
  readonly metrics: number;
}

/** `gitaly-ts up` as docs/team-server.md sets it up, without systemd and as another user than root. */
export class InstalledServer implements AsyncDisposable {
  readonly directory: string;
  readonly ports: Ports;
  /** Directory of the repositories. Its name is short: the server has its sockets there. */
  data: string;
  /** Standard output and standard error of all servers so far. */
  output = '';
  readonly #program: string;
  readonly #options: string;
  readonly #logs: string;
  readonly #backups: string;
  #server: ChildProcess | undefined;
  #rotations = 0;

  private constructor(directory: string, ports: Ports) {
    this.directory = directory;
    this.ports = ports;
    this.data = join(directory, 'data');
    this.#program = join(directory, 'gitaly-ts');
    this.#options = join(directory, 'etc/up.toml');
    this.#logs = join(directory, 'log');
    this.#backups = join(directory, 'backups');
  }

  /** Writes the options of a server. @param command that runs `gitaly-ts`. */
  static async make(directory: string, command: readonly string[]): Promise<InstalledServer> {
    const [http, ssh, metrics] = [await freePort(), await freePort(), await freePort()];
    const server = new InstalledServer(directory, { http, ssh, metrics });
    const user = process.getuid?.() === 0 ? NOBODY : undefined;
    const words =
      user === undefined ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
    const line = [...words, ...command].map((word) => `'${word}'`).join(' ');
    writeFileSync(server.#program, `#!/bin/sh\nexec ${line} "$@"\n`);
    chmodSync(server.#program, 0o755);
    const folders = ['.', 'etc', 'log', 'backups', 'given'];
    for (const name of folders) {
      mkdirSync(join(directory, name), { recursive: true });
      if (user !== undefined) chownSync(join(directory, name), user, user);
    }
    await server.did('init', 'up', server.#options, '--directory', server.data);
    server.#change(/^http = .*/m, `http = "127.0.0.1:${http}"`);
    server.#change(/^#ssh = .*/m, `ssh = "127.0.0.1:${ssh}"`);
    server.#change(/^log = .*/m, `log = "${join(server.#logs, 'access.log')}"`);
    server.#change(/^metrics = .*/m, `metrics = "127.0.0.1:${metrics}"`);
    return server;
  }

  /** Runs `gitaly-ts`, as the user of the server. */
  async run(args: readonly string[], input?: string): Promise<RunResult> {
    return await run(this.#program, args, { cwd: this.directory, input, timeoutMs: COMMAND_LIMIT_MS });
  }

  /** Runs `gitaly-ts` and returns its output. */
  async did(...args: string[]): Promise<string> {
    const { code, stderr, stdout } = await this.run(args);
    assert.equal(code, 0, `gitaly-ts ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  /** Writes a file that a command reads. @returns its path. */
  give(name: string, text: string): string {
    const path = join(this.directory, 'given', name);
    writeFileSync(path, text);
    return path;
  }

  async start(): Promise<void> {
    const child = spawn(this.#program, ['up', '--config', this.#options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        this.output += chunk;
      });
    this.#server = child;
    await until(async () => {
      assert.equal(child.exitCode, null, this.output);
      const ready = await fetch(this.#metricsUrl('-/ready')).catch(() => undefined);
      return ready?.ok === true;
    });
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    const child = this.#server;
    this.#server = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Moves the log away, as logrotate does, and sends SIGHUP. */
  async rotateLog(): Promise<void> {
    const log = join(this.#logs, 'access.log');
    renameSync(log, `${log}.${++this.#rotations}`);
    this.#server?.kill('SIGHUP');
    await until(() => existsSync(log));
  }

  /** Returns the lines of all logs. */
  logText(): string {
    const old = Array.from({ length: this.#rotations }, (_, index) => `access.log.${index + 1}`);
    return [...old, 'access.log'].map((name) => readFileSync(join(this.#logs, name), 'utf8')).join('');
  }

  async metrics(): Promise<string> {
    return await (await fetch(this.#metricsUrl('metrics'))).text();
  }

  /** Backs up repositories and settings, with the commands of the page. */
  async backUp(): Promise<void> {
    const to = join(this.#backups, 'repositories');
    await this.did('backup', this.data, '--to', to, '--incremental', '--verify');
    const excluded = ['./repositories', './bundles', './run', '*.socket', '*.lock', '*.log'];
    await this.#tar(
      '--create',
      ...['--directory', this.data],
      ...excluded.map((name) => `--exclude=${name}`),
      '.',
    );
  }

  /** Ends the server at once, and removes its directory. */
  async loseMachine(): Promise<void> {
    // Of a directory with a long path, they are elsewhere.
    const sockets = dirname(await upSocket(this.data));
    await this.stop('SIGKILL');
    for (const lost of new Set([sockets, this.data])) rmSync(lost, { recursive: true, force: true });
  }

  /** Restores the backup to another directory, which the options then name. */
  async restore(): Promise<void> {
    const old = this.data;
    this.data = join(this.directory, 'back');
    await run('install', [
      '-d',
      '-m',
      '700',
      '-o',
      String(process.getuid?.() === 0 ? NOBODY : process.getuid?.()),
      this.data,
    ]);
    await this.#tar('--extract', '--directory', this.data);
    await this.did('backup', 'restore', join(this.#backups, 'repositories'), '--to', this.data);
    this.#change(`directory = "${old}"`, `directory = "${this.data}"`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGTERM');
  }

  async #tar(mode: string, ...args: readonly string[]): Promise<void> {
    const { code, stderr } = await run('tar', [mode, '--file', join(this.#backups, 'settings.tar'), ...args]);
    assert.equal(code, 0, `tar ${mode} ${basename(this.data)}: ${stderr}`);
  }

  #metricsUrl(path: string): string {
    return `http://127.0.0.1:${this.ports.metrics}/${path}`;
  }

  #change(from: RegExp | string, to: string): void {
    const text = readFileSync(this.#options, 'utf8');
    const changed = text.replace(from, to);
    assert.notEqual(changed, text, String(from));
    writeFileSync(this.#options, changed);
  }
}
