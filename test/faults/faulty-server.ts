import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { HANG_UP, type InternalApi, startInternalApi } from '#testkit/servers/internal-api';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startVotingServer, type VotingServer } from '#testkit/servers/voting-server';
import type { FaultKind, Order, Report } from './inject.ts';

/** A fault to inject. */
export type Fault =
  | FaultKind
  | 'git exits'
  | 'git is killed'
  | 'git has no space'
  | 'hook refuses'
  | 'hook is killed'
  | 'GitLab answers 500'
  | 'GitLab hangs up'
  | 'vote is lost'
  | 'vote is not counted';

/** The place of a repository. */
export interface Place {
  readonly wire: {
    readonly storageName: string;
    readonly relativePath: string;
    readonly glRepository: string;
  };
  readonly directory: string;
}

/** A repository for one run. */
export interface Target extends Place {
  /** Returns the place for a copy, where there is nothing yet. */
  copyIn(storage: 'default' | 'second'): Place;
}

/**
 * A server in an environment that fails on command. With `hooks` it calls GitLab and runs scripts.
 */
export class FaultyServer implements AsyncDisposable {
  readonly gitaly: GitalyProcess;
  readonly connection: Connection;
  readonly voting: VotingServer;
  readonly #directory: string;
  readonly #api: InternalApi | undefined;
  #targets = 0;
  /** Ends the armed fault and returns its report. */
  #disarm: () => Promise<Report> = async () => ({ count: 0, failed: [] });

  private constructor(parts: {
    directory: string;
    gitaly: GitalyProcess;
    connection: Connection;
    voting: VotingServer;
    api: InternalApi | undefined;
  }) {
    this.#directory = parts.directory;
    this.gitaly = parts.gitaly;
    this.connection = parts.connection;
    this.voting = parts.voting;
    this.#api = parts.api;
  }

  static async start({ hooks }: { hooks: boolean }): Promise<FaultyServer> {
    const directory = makeScratchDirectory('faults');
    const api = hooks ? await startInternalApi() : undefined;
    for (const name of ['default', 'second', 'git', 'hook']) mkdirSync(join(directory, name));
    const git = process.env.GITALY_TESTING_GIT_BINARY ?? 'git';
    const gitPath = (await run('sh', ['-c', 'command -v "$1"', 'sh', git])).stdout.trim();
    script(join(directory, 'git/git'), gitWrapper(join(directory, 'git'), gitPath));
    for (const hook of hooks ? ['pre-receive', 'update', 'post-receive'] : []) {
      script(join(directory, `custom_hooks/${hook}.d/1`), hookScript(join(directory, 'hook')));
    }
    const config = [
      `[git]\nbin_path = "${join(directory, 'git/git')}"`,
      `[[storage]]\nname = "second"\npath = "${join(directory, 'second')}"`,
      `[hooks]\ncustom_hooks_dir = "${join(directory, 'custom_hooks')}"`,
      `[backup]\ngo_cloud_url = "${join(directory, 'backups')}"`,
      ...(api === undefined ? [] : [`[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"`]),
    ];
    const preload = join(import.meta.dirname, 'inject.ts');
    const gitaly = await startGitalyProcess({ directory, config: config.join('\n'), preload });
    const connection = await gitaly.connect();
    const voting = await startVotingServer(gitaly.address);
    return new FaultyServer({ directory, gitaly, connection, voting, api });
  }

  get storage(): string {
    return join(this.#directory, 'default');
  }

  get secondStorage(): string {
    return join(this.#directory, 'second');
  }

  /** Returns a new copy of a repository. */
  target(template: string): Target {
    const number = ++this.#targets;
    const place = (storageName: string, relativePath: string): Place => ({
      directory: join(this.#directory, storageName, relativePath),
      wire: { storageName, relativePath, glRepository: 'project-1' },
    });
    const target = place('default', `${number}.git`);
    cpSync(template, target.directory, { recursive: true });
    return { ...target, copyIn: (storage) => place(storage, `copies/${number}.git`) };
  }

  /** Lets the n-th occasion of a fault fail; counting starts now. */
  async arm(fault: Fault, nth: number): Promise<void> {
    this.#disarm = await this.#arm(fault, nth);
  }

  /** Ends the fault. @returns the number of occasions, and what failed. */
  async disarm(): Promise<Report> {
    const disarm = this.#disarm;
    this.#disarm = async () => ({ count: 0, failed: [] });
    return await disarm();
  }

  async #arm(fault: Fault, nth: number): Promise<() => Promise<Report>> {
    switch (fault) {
      case 'git exits':
      case 'git is killed':
      case 'git has no space':
        return armScript(join(this.#directory, 'git'), nth, fault.split(' ').at(-1) ?? '');
      case 'hook refuses':
      case 'hook is killed':
        return armScript(join(this.#directory, 'hook'), nth, fault.split(' ').at(-1) ?? '');
      case 'GitLab answers 500':
      case 'GitLab hangs up':
        return this.#armApi(nth, fault === 'GitLab hangs up' ? HANG_UP : [500, 'oops']);
      case 'vote is lost':
      case 'vote is not counted':
        return this.#armVotes(nth, fault);
      default: {
        const order: Order = { kind: fault, nth };
        await this.gitaly.ask(order);
        // The module answers every message with a report.
        return async () => (await this.gitaly.ask({})) as Report;
      }
    }
  }

  #armApi(nth: number, answer: unknown): () => Promise<Report> {
    let count = 0;
    const failed: string[] = [];
    const next = ({ path }: { path: string }): unknown => {
      if (++count !== nth) return undefined;
      failed.push(path);
      return answer;
    };
    this.#api?.reset({ '/allowed': next, '/pre_receive': next, '/post_receive': next });
    return async () => {
      this.#api?.reset();
      return { count, failed };
    };
  }

  #armVotes(nth: number, fault: 'vote is lost' | 'vote is not counted'): () => Promise<Report> {
    let count = 0;
    const failed: string[] = [];
    this.voting.decide = ({ phase }) => {
      if (++count !== nth) return 'COMMIT';
      failed.push(phase);
      if (fault === 'vote is lost') return 'ABORT';
      throw new Error('no votes are counted today');
    };
    return async () => {
      this.voting.decide = () => 'COMMIT';
      return { count, failed };
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.voting[Symbol.asyncDispose]();
    await this.gitaly[Symbol.asyncDispose]();
    await this.#api?.[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Configures which run of a script fails, and how. */
function armScript(directory: string, nth: number, how: string): () => Promise<Report> {
  rmSync(join(directory, 'runs'), { recursive: true, force: true });
  mkdirSync(join(directory, 'runs'));
  writeFileSync(join(directory, 'order'), `${nth} ${how}\n`);
  return async () => {
    rmSync(join(directory, 'order'));
    const { stdout } = await run('ls', [join(directory, 'runs')]);
    const runs = stdout.split('\n').filter(Boolean);
    const failed = runs
      .filter((name) => Number(name) === nth)
      .map((name) => readFileSync(join(directory, 'runs', name, 'words'), 'utf8'));
    return { count: runs.length, failed };
  };
}

/** A script that counts its runs while a fault is armed; they may run concurrently. */
const COUNT = (directory: string): string => `
how=
if [ -e '${directory}/order' ] && read -r nth how < '${directory}/order'; then
  n=1
  until mkdir '${directory}/runs/'$n 2> /dev/null; do n=$((n + 1)); done
  echo "$0 $*" > '${directory}/runs/'$n/words
  [ $n = "$nth" ] || how=
fi`;

const gitWrapper = (directory: string, git: string): string => `${COUNT(directory)}
case $how in
  exits) echo 'fatal: not today' >&2; exit 128 ;;
  killed) kill -KILL $$ ;;
  space) trap '' XFSZ; ulimit -f 0 ;;
esac
exec '${git}' "$@"`;

const hookScript = (directory: string): string => `${COUNT(directory)}
case $how in
  refuses) echo 'not today' >&2; exit 3 ;;
  killed) kill -KILL $$ ;;
esac`;

function script(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** Creates the repository that every run gets a copy of. */
export async function makeTemplate(directory: string, stream: string): Promise<void> {
  await runGit(['init', '--quiet', '--bare', '--template=', '--initial-branch=main', directory]);
  await runGit(['-C', directory, 'fast-import', '--quiet'], { input: stream });
}
