import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Repository } from '#client/repository/index';
import {
  type Authenticator,
  type HttpGateway,
  type SshGateway,
  startHttpGateway,
  startSshGateway,
  storageMapping,
} from '#gateway/index';
import { gitOverSsh, sshArguments } from '#testkit/clients/ssh-client';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { type StartGitalyOptions, startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

/** Accepts every name as its user. */
const ANY_NAME: Authenticator = {
  async authenticate({ headers }) {
    const basic = Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64').toString();
    const [name = ''] = basic.split(':');
    if (name !== '') return { glId: `username-${name}`, username: name };
    const challenge = { 'WWW-Authenticate': 'Basic realm="test"' };
    return { answer: { status: 401, headers: challenge, text: 'Give a name.' } };
  },
};

/** A server with gateways for users of any name, and a clone to push from. Over SSH everybody is bob. */
export class RulesSite implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'rules-'));
  readonly work = join(this.directory, 'work');
  readonly resources = new AsyncDisposableStack();
  declare readonly gitaly: TestGitaly;
  declare readonly http: HttpGateway;
  declare readonly ssh: SshGateway;
  declare readonly repository: Repository;

  static async open(options: StartGitalyOptions = {}): Promise<RulesSite> {
    const site = new RulesSite();
    site.resources.defer(() => rmSync(site.directory, { recursive: true, force: true }));
    const gitaly = site.resources.use(await startGitaly(options));
    const common = {
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: {},
    } as const;
    const http = site.resources.use(await startHttpGateway({ ...common, authenticator: ANY_NAME }));
    const access = { everybody: { glId: 'username-bob', username: 'bob' } };
    const hostKeyPath = join(site.directory, 'host_key');
    const ssh = site.resources.use(await startSshGateway({ ...common, hostKeyPath, access }));
    const repository = new Repository(gitaly.connection, {
      path: 'a.git',
      user: { name: 'Bob', email: 'bob@example.com', id: 'username-bob', username: 'bob' },
    });
    Object.assign(site, { gitaly, http, ssh, repository });
    await site.ok('init', '-q', '-b', 'main', site.work);
    return site;
  }

  /** Returns the calls of a user of `a.git`. */
  as(username: string): Repository {
    const user = { name: username, email: `${username}@example.com`, id: `username-${username}`, username };
    return new Repository(this.gitaly.connection, { path: 'a.git', user });
  }

  /** Sets the rules of `a.git`. */
  async rule(rules: object): Promise<void> {
    await this.repository.setRules(JSON.stringify(rules));
  }

  git(...args: string[]): Promise<RunResult> {
    return run('git', ['-C', this.work, ...args], { env: GIT_ENVIRONMENT });
  }

  async ok(...args: string[]): Promise<string> {
    const { code, stderr, stdout } = await run('git', args, {
      env: GIT_ENVIRONMENT,
      cwd: this.directory,
    });
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  /** Commits a file. @returns the commit. */
  async commit(path: string, message = path, content = `${Math.random()}\n`): Promise<string> {
    const file = join(this.work, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    await this.ok('-C', this.work, 'add', '.');
    await this.ok('-C', this.work, 'commit', '-qm', message);
    return await this.ok('-C', this.work, 'rev-parse', 'HEAD');
  }

  /** Pushes to `a.git` by HTTP as a user. */
  push(user: string, ...args: string[]): Promise<RunResult> {
    return this.git('push', '-q', `http://${user}:x@127.0.0.1:${this.http.port}/a.git`, ...args);
  }

  /** Pushes to `a.git` by SSH as bob. */
  async pushBySsh(...args: string[]): Promise<RunResult> {
    const url = `ssh://git@127.0.0.1:${this.ssh.port}/a.git`;
    const { directory, ssh: gateway } = this;
    const env = gitOverSsh(
      await sshArguments({ directory, gateway, hostKeyPath: join(directory, 'host_key') }),
    );
    return run('git', ['-C', this.work, 'push', '-q', url, ...args], { env });
  }

  /** Pushes by SSH as bob. The server has answered, and gets no request, while `act` runs. */
  async pushBySshAround(
    protocol: number,
    act: () => unknown,
    refspecs: readonly string[] = ['main'],
  ): Promise<RunResult> {
    const [waits, goes] = [join(this.directory, 'waits'), join(this.directory, 'goes')];
    for (const file of [waits, goes]) rmSync(file, { force: true });
    writeFileSync(
      join(this.work, '.git/hooks/pre-push'),
      `#!/bin/sh\ntouch ${waits}\nwhile [ ! -e ${goes} ]; do sleep 0.05; done\n`,
      { mode: 0o755 },
    );
    await this.ok('-C', this.work, 'config', 'protocol.version', String(protocol));
    const pushing = this.pushBySsh(...refspecs);
    await until(() => existsSync(waits));
    await act();
    writeFileSync(goes, '');
    return await pushing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

export function works({ code, stderr }: RunResult): void {
  assert.equal(code, 0, stderr);
}

export function fails({ code, stderr }: RunResult, reason: RegExp): void {
  assert.notEqual(code, 0, 'the push was accepted');
  assert.match(stderr, reason);
}
