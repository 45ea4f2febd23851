import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import { type HttpGateway, startHttpGateway, storageMapping } from '#gateway/index';
import { openDescriptors, processesIn } from '#testkit/measure/process-usage';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  type GitalyProcess,
  type GitalyProcessOptions,
  startGitalyProcess,
} from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

/** Idle `git cat-file` processes live ten seconds; they are no leftovers. */
const IDLE = /git.* cat-file .*--batch/;

/**
 * A server in a separate process, with the HTTP gateway in this one, for git clients in their own
 * directories.
 */
export class Arena implements AsyncDisposable {
  /** Directory of the server, which it leaves behind. */
  readonly directory: string;
  /** Directory of the clients. */
  readonly clients: string;
  readonly gateway: HttpGateway;
  gitaly: GitalyProcess;
  readonly #options: GitalyProcessOptions;

  private constructor(
    directory: string,
    gitaly: GitalyProcess,
    gateway: HttpGateway,
    options: GitalyProcessOptions,
  ) {
    this.directory = directory;
    this.clients = makeScratchDirectory('clients');
    this.gitaly = gitaly;
    this.gateway = gateway;
    this.#options = options;
  }

  /**
   * Starts the server. @param prepare receives the server's directory before the server starts.
   */
  static async start(
    options: GitalyProcessOptions = {},
    prepare?: (directory: string) => void,
  ): Promise<Arena> {
    const directory = makeScratchDirectory('arena');
    prepare?.(directory);
    mkdirSync(join(directory, 'hooks'));
    const all = {
      ...options,
      directory,
      config: `[hooks]\ncustom_hooks_dir = "${join(directory, 'hooks')}"\n${options.config ?? ''}`,
    };
    const gitaly = await startGitalyProcess(all);
    const gateway = await startHttpGateway({
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: { objectFormat: 'sha1' },
    });
    return new Arena(directory, gitaly, gateway, all);
  }

  /** Starts the server again in the same directory. */
  async restart(): Promise<void> {
    await this.gitaly[Symbol.asyncDispose]();
    this.gitaly = await startGitalyProcess(this.#options);
  }

  url(name: string): string {
    return `${this.gateway.url}/${name}.git`;
  }

  serverPath(name: string): string {
    return join(this.directory, 'default', `${name}.git`);
  }

  /** Installs a script that runs for every push to every repository. */
  installHook(hook: string, script: string): void {
    const directory = join(this.directory, 'hooks', `${hook}.d`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'hook'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  removeHooks(): void {
    rmSync(join(this.directory, 'hooks'), { recursive: true });
    mkdirSync(join(this.directory, 'hooks'));
  }

  /** Returns a work tree with one commit on `main`, pushed to a new repository of that name. */
  async pushed(name: string): Promise<string> {
    const work = join(this.clients, name);
    await runGit(['init', '-q', '-b', 'main', work]);
    await commit(work, 'one', 'one\n');
    await runGit(['-C', work, 'remote', 'add', 'origin', this.url(name)]);
    await runGit(['-C', work, 'push', '-q', 'origin', 'main']);
    return work;
  }

  /**
   * Adds a commit with an incompressible file to the server's repository, so that clones take a
   * while.
   */
  async pushedLarge(name: string, bytes: number): Promise<string> {
    const work = await this.pushed(name);
    await commit(work, 'large', randomFillSync(Buffer.alloc(bytes)));
    // Otherwise the server compresses the object when it arrives, and for each clone.
    await runGit(['-C', this.serverPath(name), 'config', 'core.compression', '0']);
    await runGit(['-C', work, '-c', 'pack.compression=0', 'push', '-q', 'origin', 'main']);
    return work;
  }

  /** Returns the references of the server's repository, as lines `name id`. */
  references(name: string, pattern = 'refs/'): Promise<string> {
    const format = '--format=%(refname) %(objectname)';
    return runGit(['-C', this.serverPath(name), 'for-each-ref', format, pattern]);
  }

  /** Waits until no call is running and nothing of them is left; idle helpers may stay. */
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

  /** Waits until the server has at most the given number of open descriptors. */
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
    await this.gateway.close();
    await this.gitaly[Symbol.asyncDispose]();
    rmSync(this.clients, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Returns the locks, quarantines, and temporary files and directories in a server's storage. */
export function leftoversIn(directory: string): string[] {
  const storage = join(directory, 'default');
  const temp = join(storage, '+gitaly/tmp');
  const names = namesBelow(storage);
  return [
    ...names.filter(
      (name) => name.endsWith('.lock') || /objects\/(?:.*\/)?(?:tmp_|incoming-)[^/]*$/.test(name),
    ),
    ...(existsSync(temp) ? readdirSync(temp) : []),
  ];
}

/** Relative paths of all that is below a directory; what is removed meanwhile may be among them. */
function namesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => [
      entry.name,
      ...(entry.isDirectory() ? namesBelow(join(directory, entry.name)) : []).map((name) =>
        join(entry.name, name),
      ),
    ]);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

export async function commit(work: string, message: string, content: string | Uint8Array): Promise<string> {
  writeFileSync(join(work, 'file'), content);
  await runGit(['-C', work, '-c', 'core.compression=0', 'add', 'file']);
  await runGit(['-C', work, 'commit', '-q', '-m', message]);
  return await runGit(['-C', work, 'rev-parse', 'HEAD']);
}

/** Runs git as a client, whatever its exit code is. An abort kills it. */
export function client(work: string, args: readonly string[], signal?: AbortSignal): Promise<RunResult> {
  return run('git', ['-C', work, ...args], { env: GIT_ENVIRONMENT, ...(signal && { signal }) });
}
