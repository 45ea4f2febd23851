import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HttpDoor, openHttpDoor, storageMapping } from '#gateway/index';
import { openDescriptors, processesIn } from '#testkit/process-usage';
import { GIT_ENVIRONMENT, runGit } from '#testkit/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, type GitalyProcessOptions, startGitalyProcess } from '#testkit/start-gitaly-process';
import { until } from '#testkit/until';

/** Idle `git cat-file` processes live ten seconds; they are no leftovers. */
const IDLE = /git.* cat-file .*--batch/;

/** A server in a process of its own, with the HTTP door in this one, for git clients that work in directories of their own. */
export class Arena implements AsyncDisposable {
  /** Of the server; outlives it. */
  readonly directory: string;
  /** Of the clients. */
  readonly clients: string;
  readonly door: HttpDoor;
  gitaly: GitalyProcess;
  readonly #options: GitalyProcessOptions;

  private constructor(directory: string, gitaly: GitalyProcess, door: HttpDoor, options: GitalyProcessOptions) {
    this.directory = directory;
    this.clients = makeScratchDirectory('clients');
    this.gitaly = gitaly;
    this.door = door;
    this.#options = options;
  }

  /** @param prepare gets the server's directory before the server starts. */
  static async start(options: GitalyProcessOptions = {}, prepare?: (directory: string) => void): Promise<Arena> {
    const directory = makeScratchDirectory('arena');
    prepare?.(directory);
    mkdirSync(join(directory, 'hooks'));
    const all = {
      ...options,
      directory,
      config: `[hooks]\ncustom_hooks_dir = "${join(directory, 'hooks')}"\n${options.config ?? ''}`,
    };
    const gitaly = await startGitalyProcess(all);
    const door = await openHttpDoor({
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: { objectFormat: 'sha1' },
    });
    return new Arena(directory, gitaly, door, all);
  }

  /** Starts the server again, where it was. */
  async restart(): Promise<void> {
    await this.gitaly[Symbol.asyncDispose]();
    this.gitaly = await startGitalyProcess(this.#options);
  }

  url(name: string): string {
    return `${this.door.url}/${name}.git`;
  }

  serverPath(name: string): string {
    return join(this.directory, 'default', `${name}.git`);
  }

  /** A script that runs for every push to every repository. */
  installHook(hook: string, script: string): void {
    const directory = join(this.directory, 'hooks', `${hook}.d`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'hook'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  removeHooks(): void {
    rmSync(join(this.directory, 'hooks'), { recursive: true });
    mkdirSync(join(this.directory, 'hooks'));
  }

  /** A work tree with one commit on `main`, pushed to a new repository of that name. */
  async pushed(name: string): Promise<string> {
    const work = join(this.clients, name);
    await runGit(['init', '-q', '-b', 'main', work]);
    await commit(work, 'one', 'one\n');
    await runGit(['-C', work, 'remote', 'add', 'origin', this.url(name)]);
    await runGit(['-C', work, 'push', '-q', 'origin', 'main']);
    return work;
  }

  /** Adds a commit to the server's repository whose file does not compress, so that clones take a while. */
  async pushedLarge(name: string, bytes: number): Promise<string> {
    const work = await this.pushed(name);
    await commit(work, 'large', randomFillSync(Buffer.alloc(bytes)));
    await runGit(['-C', work, '-c', 'pack.compression=0', 'push', '-q', 'origin', 'main']);
    return work;
  }

  /** References of the server's repository, as lines `name id`. */
  references(name: string): Promise<string> {
    return runGit(['-C', this.serverPath(name), 'for-each-ref', '--format=%(refname) %(objectname)']);
  }

  /** Waits until nothing works for calls any more and nothing of them is left; idle helpers may stay. */
  async settles(): Promise<void> {
    const left = (): string[] => [
      ...processesIn(join(this.directory, 'default')).filter((line) => !IDLE.test(line)),
      ...leftoversIn(this.directory),
    ];
    await until(
      () => left().length === 0,
      () => left().join('\n'),
    );
  }

  /** Waits until the server has no more descriptors open than it had. */
  async releases(descriptors: number): Promise<void> {
    const open = (): number => openDescriptors(this.gitaly.pid);
    await until(
      () => open() <= descriptors,
      () => `${open()} descriptors, ${descriptors} before`,
    );
  }

  async fsck(name: string): Promise<void> {
    await runGit(['-C', this.serverPath(name), 'fsck', '--full', '--strict', '--no-dangling']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.door.close();
    await this.gitaly[Symbol.asyncDispose]();
    rmSync(this.clients, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Locks, quarantines and temporary directories in a server's storage. */
export function leftoversIn(directory: string): string[] {
  const storage = join(directory, 'default');
  const temp = join(storage, '+gitaly/tmp');
  const names = readdirSync(storage, { recursive: true, encoding: 'utf8' });
  return [
    ...names.filter((name) => name.endsWith('.lock') || /objects\/(tmp_objdir-)?incoming-[^/]*$/.test(name)),
    ...(existsSync(temp) ? readdirSync(temp) : []),
  ];
}

export async function commit(work: string, message: string, content: string | Uint8Array): Promise<string> {
  writeFileSync(join(work, 'file'), content);
  await runGit(['-C', work, '-c', 'core.compression=0', 'add', 'file']);
  await runGit(['-C', work, 'commit', '-q', '-m', message]);
  return await runGit(['-C', work, 'rev-parse', 'HEAD']);
}

/** Runs git as a client; whatever the exit code. An abort kills it. */
export function client(work: string, args: readonly string[], signal?: AbortSignal): Promise<RunResult> {
  return run('git', ['-C', work, ...args], { env: GIT_ENVIRONMENT, ...(signal && { signal }) });
}
