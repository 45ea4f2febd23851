import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { addUserCommands } from '#cli/commands/user-commands';
import { gitOverSsh, makeSshKey, sshArguments } from '#testkit/clients/ssh-client';
import { programCommand } from '#testkit/programs/program-command';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';

/** Output of `gitaly-ts up --json`. */
interface Report {
  readonly http: string;
  readonly ssh: string;
  readonly people?: string;
}

/** How somebody logs in: by HTTP with `NAME:TOKEN`, or empty without; by SSH with a key. */
export interface Login {
  readonly http?: string;
  readonly ssh?: string;
}

/** A directory of `gitaly-ts up` with people, a server on it, and a clone to push from. */
export class PeopleSite implements AsyncDisposable {
  readonly directory = makeScratchDirectory('people');
  readonly data = join(this.directory, 'data');
  readonly people = join(this.data, 'people.toml');
  readonly work = join(this.directory, 'work');
  /** Standard error of the server. */
  notes = '';
  declare report: Report;
  #server: ChildProcess | undefined;

  /** Runs `gitaly-ts user`. @param input a password. */
  async user(args: readonly string[], input = ''): Promise<RunResult> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const program = new Command('gitaly-ts').exitOverride();
    const on = { stdin: Readable.from([input]), stdout, stderr, exitCode: 0 };
    addUserCommands(program, on);
    await program.parseAsync(['user', ...args, '--to', this.data], { from: 'user' });
    return { code: on.exitCode, stdout: await text(stdout.end()), stderr: await text(stderr.end()) };
  }

  /** Runs `gitaly-ts user` and returns its output. */
  async did(...args: string[]): Promise<string> {
    const { code, stderr, stdout } = await this.user(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  /** Makes a key pair. @returns the path of the private key. */
  async key(name: string, options?: string[]): Promise<string> {
    return (await makeSshKey(join(this.directory, name), name, options)).path;
  }

  /** Adds a person with a token and a key. */
  async person(name: string, ...access: string[]): Promise<Required<Login>> {
    const ssh = await this.key(name);
    const token = await this.did('add', name, '--token', '--key', `${ssh}.pub`, ...access);
    return { ssh, http: `${name}:${token}` };
  }

  /** Starts the server. */
  async start(...args: string[]): Promise<void> {
    const addresses = ['--http', '127.0.0.1:0', '--ssh', '127.0.0.1:0', '--json'];
    const child = spawn(
      process.execPath,
      [...programCommand('gitaly-ts'), 'up', this.data, ...addresses, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#server = child;
    child.stderr.on('data', (chunk) => {
      this.notes += chunk;
    });
    let printed = '';
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      printed += chunk;
      if (printed.includes('\n')) break;
    }
    assert.match(printed, /\n/, this.notes);
    child.stdout.resume();
    this.report = JSON.parse(printed);
  }

  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    const child = this.#server;
    this.#server = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Makes a commit in the clone, which is created. */
  async commit(): Promise<void> {
    await run('git', ['init', '-q', '-b', 'main', this.work], { env: GIT_ENVIRONMENT });
    const { code } = await this.git({}, '-C', this.work, 'commit', '-q', '--allow-empty', '-m', 'x');
    assert.equal(code, 0);
  }

  /** Address of a repository for somebody. */
  url({ http }: Login, repository: string): string {
    if (http === undefined) return `${this.report.ssh}/${repository}`;
    const [name = '', token = ''] = http.split(':');
    return `${this.report.http.replace('//', name === '' ? '//' : `//${name}:${token}@`)}/${repository}`;
  }

  async git({ ssh }: Login, ...args: string[]): Promise<RunResult> {
    const env = ssh === undefined ? GIT_ENVIRONMENT : gitOverSsh(await this.sshArguments(ssh));
    return await run('git', args, { env });
  }

  async ssh(key: string, ...command: string[]): Promise<RunResult> {
    const port = new URL(this.report.ssh).port;
    return await run('ssh', [...(await this.sshArguments(key)), '-p', port, 'git@127.0.0.1', ...command]);
  }

  async sshArguments(key: string): Promise<string[]> {
    const { directory } = this;
    const gateway = { host: '127.0.0.1', port: Number(new URL(this.report.ssh).port) };
    const hostKeyPath = join(this.data, 'ssh_host_ed25519_key');
    return await sshArguments({ directory, gateway, hostKeyPath, ...(key !== '' && { key }) });
  }

  text(): string {
    return readFileSync(this.people, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
