import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import {
  callbackAuthentication,
  createToken,
  fileAuthentication,
  formatAuthLine,
  type HttpGateway,
  type HttpGatewayOptions,
  hashPassword,
  startHttpGateway,
  storageMapping,
} from '#gateway/index';
import { certificateSerial } from '#testkit/fixtures/certificate-serial';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { quickPasswordHash } from '#testkit/values/quick-password-hash';

const TLS = { certificatePath: TEST_CERTIFICATE, keyPath: TEST_CERTIFICATE.replace('certificate', 'key') };
/** Some machines configure their own certificates. */
const ENVIRONMENT = { ...GIT_ENVIRONMENT, GIT_SSL_CAINFO: TEST_CERTIFICATE };
const CI = createToken();
const USERS = [
  formatAuthLine('ann', 'write', await hashPassword('p@ss:word'), []),
  formatAuthLine('bob', 'read', quickPasswordHash('secret'), []),
  formatAuthLine('ci', 'write', CI.hash, ['team']),
].join('\n');

suite('git with credentials', () => {
  let gitaly: TestGitaly;
  let directory: string;
  let work: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'http-access-'));
    gitaly = await startGitaly();
    writeFileSync(join(directory, 'users'), USERS);
    work = join(directory, 'work');
    await runGit(['init', '-q', '-b', 'main', work]);
    await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);
  });
  after(async () => {
    await gitaly[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const open = async (options: Partial<HttpGatewayOptions> = {}): Promise<HttpGateway> =>
    startHttpGateway({
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: {},
      authenticator: await fileAuthentication({ path: join(directory, 'users') }),
      ...options,
    });

  const as = (gateway: HttpGateway, user: string, password: string, name: string): string =>
    `${gateway.url.replace('://', `://${user}:${encodeURIComponent(password)}@`)}/${name}`;
  const push = (url: string, ...more: string[]): Promise<RunResult> =>
    run('git', ['-C', work, ...more, 'push', url, 'main'], { env: ENVIRONMENT });
  const clone = (url: string, name: string): Promise<RunResult> =>
    run('git', ['clone', '-q', url, join(directory, name)], { env: ENVIRONMENT });
  const head = (at: string): Promise<string> => runGit(['-C', at, 'rev-parse', 'main']);

  for (const tls of [undefined, TLS]) {
    test(`a name and a password push and clone over ${tls ? 'HTTPS' : 'HTTP'}`, async () => {
      await using gateway = await open(tls && { tls });
      const name = tls ? 'secure.git' : 'plain.git';

      const pushed = await push(as(gateway, 'ann', 'p@ss:word', name));
      const cloned = await clone(as(gateway, 'bob', 'secret', name), `clone-${name}`);

      assert.equal(pushed.code, 0, pushed.stderr);
      assert.equal(cloned.code, 0, cloned.stderr);
      assert.equal(await head(join(directory, `clone-${name}`)), await head(work));
    });
  }

  test('a token works as bearer and as password, only for its paths', async () => {
    await using gateway = await open();
    const bearer = ['-c', `http.extraHeader=Authorization: Bearer ${CI.token}`];

    const pushed = await push(`${gateway.url}/team/app.git`, ...bearer);
    const cloned = await clone(as(gateway, 'ci', CI.token, 'team/app.git'), 'clone-token');
    const elsewhere = await push(`${gateway.url}/other.git`, ...bearer);

    assert.equal(pushed.code, 0, pushed.stderr);
    assert.equal(cloned.code, 0, cloned.stderr);
    assert.match(elsewhere.stderr, /remote: There is no such repository/);
    assert.equal(existsSync(join(gitaly.storagePath(), 'other.git')), false);
  });

  test('wrong and missing credentials, and a push with read access, are refused with a message', async () => {
    await using gateway = await open();

    const wrong = await push(as(gateway, 'ann', 'wrong', 'new.git'));
    const nobody = await clone(`${gateway.url}/plain.git`, 'clone-nobody');
    const reader = await push(as(gateway, 'bob', 'secret', 'new.git'));

    assert.match(wrong.stderr, /remote: The name, password or token is wrong/);
    assert.match(wrong.stderr, /Authentication failed/);
    assert.match(nobody.stderr, /could not read Username|terminal prompts disabled/);
    assert.match(reader.stderr, /remote: You may read this repository, but not push to it\./);
    assert.deepEqual([wrong.code, nobody.code, reader.code], [128, 128, 128]);
    assert.equal(existsSync(join(gitaly.storagePath(), 'new.git')), false);
  });

  test('no log, error or response contains a password', async () => {
    const failures: unknown[] = [];
    await using gateway = await open({ onFailure: (error) => failures.push(error) });

    const wrong = await push(as(gateway, 'ann', 'hunter2', 'new.git'));
    await push(as(gateway, 'ann', 'p@ss:word', 'logged.git'));

    const words = JSON.stringify(gitaly.log) + failures.map(String) + wrong.stdout;
    assert.match(words, /username-ann/);
    assert.doesNotMatch(words, /hunter2|p@ss|cEBzc/); // the last one is base64
  });

  test('the authentication URL decides, and sets the user and the repository', async () => {
    const asked: Record<string, unknown>[] = [];
    const site = createServer(async (request, response) => {
      const question = JSON.parse(await text(request));
      asked.push(question);
      if (question.password === 'yes') {
        response.end(
          JSON.stringify({ allowed: true, gl_id: 'user-42', gl_username: 'zoe', gl_repository: 'project-9' }),
        );
      } else
        response.end(
          JSON.stringify({
            allowed: false,
            ...(question.password && { message: 'Your account is blocked.' }),
          }),
        );
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    const address = site.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
    await using gateway = await open({ authenticator: callbackAuthentication({ url }) });

    const right = await push(as(gateway, 'zoe', 'yes', 'asked.git'));
    const wrong = await push(as(gateway, 'zoe', 'no', 'asked.git'));
    site.closeAllConnections();
    site.close();

    assert.equal(right.code, 0, right.stderr);
    assert.match(wrong.stderr, /remote: Your account is blocked\./);
    const [first] = asked;
    assert.deepEqual(
      [first?.service, first?.repository, first?.remote_address],
      ['git-receive-pack', 'asked.git', '127.0.0.1'],
    );
    const line = gitaly.log.find(
      (entry) => entry['grpc.method'] === 'PostReceivePack' && entry.username === 'zoe',
    );
    assert.deepEqual([line?.user_id, line?.['grpc.request.glRepository']], ['user-42', 'project-9']);
  });

  test("a trusted proxy sets the client's address, but a client cannot", async () => {
    await using trusting = await open({ trustedProxies: ['127.0.0.0/8'] });
    await using careful = await open();
    const ask = async (gateway: HttpGateway): Promise<unknown> => {
      const before = gitaly.log.length;
      const cloned = await run(
        'git',
        [
          '-c',
          'http.extraHeader=X-Forwarded-For: 6.6.6.6, 203.0.113.5',
          'ls-remote',
          as(gateway, 'ann', 'p@ss:word', 'plain.git'),
        ],
        {
          env: ENVIRONMENT,
        },
      );
      assert.equal(cloned.code, 0, cloned.stderr);
      const logged = () =>
        gitaly.log.slice(before).find((entry) => entry['grpc.method'] === 'InfoRefsUploadPack');
      await until(() => logged() !== undefined);
      return logged()?.remote_ip;
    };

    assert.equal(await ask(trusting), '203.0.113.5');
    assert.equal(await ask(careful), '127.0.0.1');
  });

  test('a changed certificate is loaded while the gateway runs', async () => {
    const [certificatePath, keyPath] = [join(directory, 'gateway.pem'), join(directory, 'gateway-key.pem')];
    copyFileSync(TLS.certificatePath, certificatePath);
    copyFileSync(TLS.keyPath, keyPath);
    const problems: unknown[] = [];
    await using gateway = await open({
      tls: { certificatePath, keyPath },
      onProblem: (error) => problems.push(error),
    });
    const serial = (): Promise<string> => certificateSerial(new URL(gateway.url).host);
    const first = await serial();

    writeFileSync(certificatePath, 'no certificate');
    await until(() => problems.length > 0);
    assert.equal(await serial(), first);

    const made = await run('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=localhost',
      ],
      ...['-keyout', keyPath, '-out', certificatePath],
    ]);
    assert.equal(made.code, 0, made.stderr);
    await until(async () => (await serial()) !== first, 'the new certificate is not used');

    copyFileSync(TLS.certificatePath, certificatePath);
    copyFileSync(TLS.keyPath, keyPath);
    await gateway.renewTls();
    assert.equal(await serial(), first, 'it is not used at once');
  });
});
