import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type HttpGateway,
  type SshGateway,
  scopedTokenAuthentication,
  startHttpGateway,
  startSshGateway,
  storageMapping,
} from '#gateway/index';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';

/** A server with both gateways, which accept tokens only, and a clone to push from. */
export class Site implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  readonly store = new TokenStore(join(this.directory, 'tokens'));
  readonly work = join(this.directory, 'work');
  readonly hostKeyPath = join(this.directory, 'host_key');
  readonly resources = new AsyncDisposableStack();
  declare readonly gitaly: TestGitaly;
  declare readonly http: HttpGateway;
  declare readonly ssh: SshGateway;

  static async open(): Promise<Site> {
    const site = new Site();
    site.resources.defer(() => rmSync(site.directory, { recursive: true, force: true }));
    const verifier = new TokenVerifier({ store: site.store });
    await verifier.prepare();
    const gitaly = site.resources.use(await startGitaly());
    const common = {
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: {},
    } as const;
    const authenticator = scopedTokenAuthentication({ verifier });
    const http = site.resources.use(await startHttpGateway({ ...common, authenticator }));
    const access = { authenticate: () => undefined, tokens: verifier };
    const { hostKeyPath } = site;
    const ssh = site.resources.use(await startSshGateway({ ...common, hostKeyPath, access }));
    Object.assign(site, { gitaly, http, ssh });
    await site.ok('init', '-q', '-b', 'main', site.work);
    return site;
  }

  async token(scope: object, lifetimeSeconds = 3600): Promise<{ id: string; token: string }> {
    return await issueToken(this.store, { subject: 'ci', scope: parseScope(scope), lifetimeSeconds });
  }

  git(...args: string[]): Promise<RunResult> {
    return run('git', args, { env: GIT_ENVIRONMENT });
  }

  async ok(...args: string[]): Promise<void> {
    const { code, stderr } = await this.git(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  }

  async commit(path: string): Promise<void> {
    const file = join(this.work, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${Math.random()}\n`);
    await this.ok('-C', this.work, 'add', '.');
    await this.ok('-C', this.work, 'commit', '-qm', path);
  }

  /** Pushes by HTTP with a token; several texts are refspecs and options. */
  push(token: string, repository: string, ...args: string[]): Promise<RunResult> {
    const url = `http://x:${token}@127.0.0.1:${this.http.port}/${repository}`;
    return this.git('-C', this.work, 'push', '-q', url, ...args);
  }

  list(token: string, repository: string): Promise<RunResult> {
    return this.git('ls-remote', `http://x:${token}@127.0.0.1:${this.http.port}/${repository}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

export const ADMIN = { access: 'admin', repositories: ['**'] };

export function works({ code, stderr }: RunResult): void {
  assert.equal(code, 0, stderr);
}

export function fails({ code, stderr }: RunResult, reason: RegExp): void {
  assert.notEqual(code, 0);
  assert.match(stderr, reason);
}
