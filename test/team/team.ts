import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitOverSsh, makeSshKey, sshArguments } from '#testkit/clients/ssh-client';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import type { InstalledServer } from './installed-server.ts';

export const PEOPLE = ['ann', 'bob', 'eve', 'rita', 'ci'] as const;
export type Person = (typeof PEOPLE)[number];
export type Transport = 'http' | 'ssh';

/** Rights by the arguments of `gitaly-ts user add`. */
const RIGHTS: Readonly<Record<Person, readonly string[]>> = {
  ann: ['admin'],
  bob: ['write', '--path', 'team', '--path', 'forks'],
  eve: ['write', '--path', 'docs'],
  rita: ['read', '--path', 'team', '--path', 'docs'],
  ci: ['write', '--path', 'team/app'],
};
const PASSWORD = 'the long password of eve';

/** How a person logs in. The bot has no key, and eve a password. */
interface Login {
  readonly secret: string;
  readonly key: string | undefined;
}

/** Reports whether a person may read a repository, by the rights that were given. */
export function mayRead(person: Person, repository: string): boolean {
  const [right, ...paths] = RIGHTS[person];
  return right === 'admin' || paths.some((path) => repository === path || repository.startsWith(`${path}/`));
}

/** Five people with their logins. */
export class Team {
  readonly server: InstalledServer;
  readonly #logins = new Map<Person, Login>();
  #ssh: readonly string[] = [];

  constructor(server: InstalledServer) {
    this.server = server;
  }

  /** Adds the people with `gitaly-ts user`. */
  async join(): Promise<void> {
    for (const name of PEOPLE) {
      const to = ['--to', this.server.data];
      const add = ['user', 'add', name, '--access', ...RIGHTS[name]];
      const keyPath = join(this.server.directory, `key-of-${name}`);
      const key = name === 'ci' ? undefined : keyPath;
      if (key !== undefined) {
        const { line } = await makeSshKey(key, `laptop-of-${name}`);
        add.push('--key', this.server.give(`${name}.pub`, `${line}\n`));
      }
      const isPassword = name === 'eve';
      const args = [...add, isPassword ? '--password-stdin' : '--token', ...to];
      const { code, stderr, stdout } = await this.server.run(args, `${PASSWORD}\n`);
      assert.equal(code, 0, stderr);
      this.#logins.set(name, { secret: isPassword ? PASSWORD : stdout.trim(), key });
    }
  }

  /** Learns the host key of the server, which stays the same. */
  async learnHostKey(): Promise<void> {
    this.#ssh = await sshArguments({
      directory: this.server.directory,
      gateway: { host: '127.0.0.1', port: this.server.ports.ssh },
      hostKeyPath: join(this.server.data, 'ssh_host_ed25519_key'),
    });
  }

  transports(person: Person): readonly Transport[] {
    return this.#login(person).key === undefined ? ['http'] : ['http', 'ssh'];
  }

  /** Returns the address of a repository; with HTTP it has the secret. */
  url(person: Person, transport: Transport, repository: string): string {
    const { http, ssh } = this.server.ports;
    if (transport === 'ssh') return `ssh://git@127.0.0.1:${ssh}/${repository}.git`;
    const secret = encodeURIComponent(this.#login(person).secret);
    return `http://${person}:${secret}@127.0.0.1:${http}/${repository}.git`;
  }

  /** Runs git as somebody. */
  async git(person: Person, ...args: string[]): Promise<RunResult> {
    const { key } = this.#login(person);
    const env = key === undefined ? GIT_ENVIRONMENT : gitOverSsh(this.#sshWith(key));
    return await run('git', args, { env });
  }

  /** Runs a command of the SSH gateway. */
  async ssh(person: Person, ...words: string[]): Promise<RunResult> {
    const { key } = this.#login(person);
    assert.ok(key !== undefined);
    const port = String(this.server.ports.ssh);
    return await run('ssh', [...this.#sshWith(key), '-p', port, 'git@127.0.0.1', ...words]);
  }

  /** Sends a request of HTTP. @param person undefined for nobody. */
  async request(person: Person | undefined, path: string, init?: RequestInit): Promise<Response> {
    const login = person && { authorization: `Basic ${btoa(`${person}:${this.#login(person).secret}`)}` };
    const headers = { ...init?.headers, ...login };
    return await fetch(`http://127.0.0.1:${this.server.ports.http}/${path}`, { ...init, headers });
  }

  /** Returns everything that no log may have. */
  secrets(): string[] {
    return [...this.#logins].flatMap(([name, { key, secret }]) => [
      secret,
      encodeURIComponent(secret),
      btoa(`${name}:${secret}`),
      ...(key === undefined ? [] : readFileSync(key, 'utf8').trim().split('\n').slice(1, -1)),
    ]);
  }

  #login(person: Person): Login {
    const login = this.#logins.get(person);
    assert.ok(login !== undefined, person);
    return login;
  }

  #sshWith(key: string): string[] {
    return this.#ssh.map((word) => (word === 'IdentityFile=none' ? `IdentityFile=${key}` : word));
  }
}

/** Contents of a commit on top of another one. */
export interface Change {
  readonly parent: string | undefined;
  readonly path: string;
  readonly content: string;
  readonly message: string;
}

/** The clone of all people: it keeps every object that somebody made. */
export class Workshop {
  readonly path: string;

  constructor(directory: string) {
    this.path = join(directory, 'work');
  }

  async open(): Promise<void> {
    await runGit(['init', '-q', '-b', 'main', this.path]);
  }

  async git(...args: string[]): Promise<string> {
    return await runGit(['-C', this.path, ...args]);
  }

  /** Makes a commit that changes a file. @returns its id. */
  async commit({ content, message, parent, path }: Change): Promise<string> {
    const env = { GIT_INDEX_FILE: join(this.path, '.git/scenario-index') };
    const git = (args: readonly string[], input?: string): Promise<string> =>
      runGit(['-C', this.path, ...args], { env, ...(input !== undefined && { input }) });
    await git(parent === undefined ? ['read-tree', '--empty'] : ['read-tree', parent]);
    const blob = await git(['hash-object', '-w', '--stdin'], content);
    await git(['update-index', '--add', '--cacheinfo', `100644,${blob},${path}`]);
    const parents = parent === undefined ? [] : ['-p', parent];
    return await git(['commit-tree', await git(['write-tree']), ...parents, '-m', message]);
  }

  /** Returns the ids of all objects that some commits need. */
  async objectsOf(commits: readonly string[], path = this.path): Promise<string> {
    if (commits.length === 0) return '';
    const lines = await runGit(['-C', path, 'rev-list', '--objects', '--no-object-names', ...commits]);
    return lines.split('\n').sort().join('\n');
  }
}
