import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as startRequest,
} from 'node:http';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { startWithCommit } from '#testkit/clients/ssh-gateway-fixture';
import { packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { type HttpGateway, type HttpGatewayOptions, startHttpGateway, storageMapping } from '../index.ts';

const LS_REFS = '0014command=ls-refs\n0000';
const UPLOAD_PACK = 'application/x-git-upload-pack-request';
const GATEWAY_AGENT = 'git/gitaly-ts';

interface Opened extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly gateway: HttpGateway;
  /** `http://…/a.git`, a repository with one commit on `main`. */
  readonly url: string;
}

async function open(options: Partial<HttpGatewayOptions> = {}): Promise<Opened> {
  const gitaly = await startWithCommit();
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    ...options,
  });
  return {
    gitaly,
    gateway,
    url: `${gateway.url}/a.git`,
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}

function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/git-upload-pack`, {
    method: 'POST',
    body,
    headers: { 'Content-Type': UPLOAD_PACK, 'Git-Protocol': 'version=2', ...headers },
  });
}

/** Returns the server's log line of a finished call. */
async function logLine(gitaly: TestGitaly, method: string): Promise<Record<string, unknown>> {
  const line = () => gitaly.log.find((entry) => entry['grpc.method'] === method);
  await until(() => line() !== undefined, `a call of ${method} in the log`);
  return line() ?? {};
}

function responseTo(request: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once('response', resolve).once('error', reject);
  return promise;
}

test('responses have a content type and are never cached', async () => {
  await using opened = await open();

  const refs = await fetch(`${opened.url}/info/refs?service=git-upload-pack`);
  const listing = await post(opened.url, LS_REFS);

  assert.equal(refs.status, 200);
  assert.equal(refs.headers.get('content-type'), 'application/x-git-upload-pack-advertisement');
  assert.match(await refs.text(), /^001e# service=git-upload-pack\n0000/);
  assert.equal(listing.headers.get('content-type'), 'application/x-git-upload-pack-result');
  assert.match(await listing.text(), /refs\/heads\/main\n0000$/);
  for (const response of [refs, listing, await fetch(opened.gateway.url)]) {
    assert.match(response.headers.get('cache-control') ?? '', /^no-cache/);
  }
});

test('a compressed body is decompressed, and a corrupt one is refused', async () => {
  await using opened = await open();

  const packed = await post(opened.url, new Uint8Array(gzipSync(LS_REFS)), { 'Content-Encoding': 'gzip' });
  const broken = await post(opened.url, 'this is no gzip', { 'Content-Encoding': 'gzip' });
  const unknown = await post(opened.url, LS_REFS, { 'Content-Encoding': 'br' });

  assert.match(await packed.text(), /refs\/heads\/main/);
  assert.equal(broken.status, 400);
  assert.equal(await broken.text(), 'The body of the request is not valid gzip.\n');
  assert.equal(unknown.status, 415);
});

test('a chunked body is read as it arrives', async () => {
  await using opened = await open();
  const request = startRequest(`${opened.url}/git-upload-pack`, {
    method: 'POST',
    headers: { 'Content-Type': UPLOAD_PACK, 'Git-Protocol': 'version=2' },
  });

  for (const byte of LS_REFS) {
    request.write(byte);
    await delay(1); // so that bytes are sent apart
  }
  request.end();

  assert.match(await text(await responseTo(request)), /refs\/heads\/main/);
});

test('a client that waits before sending its body is told to send, or refused before it sends', async () => {
  await using opened = await open();
  const ask = async (headers: Record<string, string>) => {
    const options: RequestOptions = {
      method: 'POST',
      headers: { Expect: '100-continue', 'Git-Protocol': 'version=2', ...headers },
    };
    const request = startRequest(`${opened.url}/git-upload-pack`, options);
    let isInvited = false;
    request.once('continue', () => {
      isInvited = true;
      request.end(LS_REFS);
    });
    request.flushHeaders();
    const response = await responseTo(request);
    const body = await text(response);
    request.destroy();
    return { isInvited, status: response.statusCode, body };
  };

  const right = await ask({ 'Content-Type': UPLOAD_PACK });
  const wrong = await ask({ 'Content-Type': 'text/plain' });

  assert.equal(right.isInvited, true);
  assert.match(right.body, /refs\/heads\/main/);
  assert.deepEqual(wrong, {
    isInvited: false,
    status: 415,
    body: `The content type must be ${UPLOAD_PACK}.\n`,
  });
});

test('a body that is announced as too large is refused before it is sent', async () => {
  await using opened = await open({ limits: { maxUploadPackBodyBytes: 1000 } });
  const request = startRequest(`${opened.url}/git-upload-pack`, {
    method: 'POST',
    headers: { 'Content-Type': UPLOAD_PACK, 'Content-Length': 1001 },
  });
  request.flushHeaders();

  const response = await responseTo(request);

  assert.equal(response.statusCode, 413);
  assert.match(await text(response), /larger than this server's limit of 1000 bytes/);
  request.destroy();
});

// git printed `RPC failed; curl 18` in addition to the reason, and other clients never saw it.
test("a response that ends with git's own error is complete", async () => {
  const failures: unknown[] = [];
  await using opened = await open({ onFailure: (error) => failures.push(error) });
  const missing = '1'.repeat(40);

  const latest = await post(opened.url, `0011command=fetch0001${packet(`want ${missing}\n`)}0009done\n0000`);
  const first = await post(opened.url, `${packet(`want ${missing} side-band-64k\n`)}00000009done\n`, {
    'Git-Protocol': '',
  });

  const error = packet(`ERR upload-pack: not our ref ${missing}`);
  assert.deepEqual([await latest.text(), await first.text()], [error, error]);
  assert.deepEqual(failures, []);
});

// They were a 500 "See its log", and the log did not have git's sentence either.
for (const [what, body, sentence] of [
  [
    'another object format',
    '0014command=ls-refs\n0018object-format=sha2560000',
    'mismatched object format: server sha1; client sha256',
  ],
  ['an unknown command', '0010command=foo\n0000', "invalid command 'foo'"],
  ['a response-end packet', '0014command=ls-refs\n00020000', 'unexpected response end packet'],
] as const) {
  test(`a request with ${what} gets git's sentence`, async () => {
    const failures: unknown[] = [];
    await using opened = await open({ onFailure: (error) => failures.push(error) });

    const response = await post(opened.url, body);

    assert.equal(response.status, 400);
    assert.equal(await response.text(), `git does not understand this request: ${sentence}\n`);
    assert.deepEqual(failures, []);
  });
}

test("a push in another object format gets git's sentence", async () => {
  await using opened = await open();
  const [zero, one] = ['0'.repeat(40), '1'.repeat(40)];
  const command = packet(`${zero} ${one} refs/heads/x\0report-status object-format=sha256`);

  const response = await fetch(`${opened.url}/git-receive-pack`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-git-receive-pack-request' },
    body: `${command}0000`,
  });

  assert.equal(response.status, 400);
  assert.match(await response.text(), /^git does not understand this request: .*object format/);
});

test('a missing repository returns 404 with a message', async () => {
  await using opened = await open();

  const pull = await fetch(`${opened.gateway.url}/none.git/info/refs?service=git-upload-pack`);
  const push = await fetch(`${opened.gateway.url}/none.git/info/refs?service=git-receive-pack`);
  const posted = await post(`${opened.gateway.url}/none.git`, LS_REFS);

  assert.deepEqual([pull.status, push.status, posted.status], [404, 404, 404]);
  assert.equal(await pull.text(), 'There is no such repository. Check the address.\n');
});

test('a refusal keeps the connection for the next request if no body is left', async () => {
  await using opened = await open({
    authenticator: { authenticate: async () => ({ answer: { status: 401, text: 'Sign in.' } }) },
  });

  for (const path of [
    '/',
    '/a.git',
    '/a.git/HEAD',
    '/a.git/info/refs?service=git-upload-pack',
    '/a.git/info/lfs/locks',
  ]) {
    const response = await fetch(`${opened.gateway.url}${path}`);
    await response.text();
    assert.equal(response.headers.get('connection'), 'keep-alive', path);
  }
});

test('paths cannot leave the storage', async () => {
  await using opened = await open();
  const { port } = opened.gateway;

  for (const path of [
    '/../../etc',
    '/a.git/../../x',
    '/%2e%2e/x',
    '/a%00.git',
    '/a%5c..%5cx.git',
    '/+gitaly/tmp/x.git',
  ]) {
    const request = startRequest({ port, path: `${path}/info/refs?service=git-upload-pack` }).end();
    const response = await responseTo(request);
    response.resume();
    assert.equal(response.statusCode, 400, path);
  }
});

for (const format of ['sha1', 'sha256'] as const) {
  for (const protocol of ['', 'version=1', 'version=2']) {
    test(`a missing repository is advertised as an empty one to a push (${format} ${protocol})`, async () => {
      await using opened = await open({ createOnPush: {} });
      const headers = { 'X-Git-Object-Format': format, 'Git-Protocol': protocol };
      const ask = async (name: string, service = 'git-receive-pack') =>
        await fetch(`${opened.gateway.url}/${name}/info/refs?service=${service}`, { headers });
      const directory = join(opened.gitaly.storagePath(), 'empty.git');
      await runGit(['init', '-q', '--bare', `--object-format=${format}`, directory]);

      const missing = await ask('missing.git');
      const empty = await (await ask('empty.git')).text();

      assert.equal(missing.status, 200);
      assert.equal(await missing.text(), withAgentOfGateway(empty));
      assert.equal((await ask('missing.git', 'git-upload-pack')).status, 404, 'to a fetch it is missing');
      assert.equal(existsSync(join(opened.gitaly.storagePath(), 'missing.git')), false);
    });
  }
}

/** Returns git's advertisement with the gateway's agent as the last capability, in place of git's own. */
function withAgentOfGateway(advertisement: string): string {
  return advertisement.replace(/([0-9a-f]{4})(0+ capabilities.*?) agent=(\S+)/s, (_, size, line, agent) => {
    const length = Number.parseInt(size, 16) - agent.length + GATEWAY_AGENT.length;
    return `${length.toString(16).padStart(4, '0')}${line} agent=${GATEWAY_AGENT}`;
  });
}

const PUSH = { 'Content-Type': 'application/x-git-receive-pack-request' };

test('a request without a command creates no repository', async () => {
  await using opened = await open({ createOnPush: {} });
  const send = async (body: string) =>
    await fetch(`${opened.gateway.url}/new.git/git-receive-pack`, { method: 'POST', body, headers: PUSH });

  const probe = await send('0000'); // git sends it before a large push
  const nothing = await send('');
  const wrong = await send('0009hello');
  const noPacket = await send('hello, world');

  assert.deepEqual([probe.status, await probe.text()], [200, '']);
  assert.deepEqual([nothing.status, wrong.status, noPacket.status], [200, 400, 400]);
  assert.equal(existsSync(join(opened.gitaly.storagePath(), 'new.git')), false);
});

test('a push creates a missing repository, once, in the format of the push', async () => {
  await using opened = await open({ createOnPush: {} });
  const push = async (format: 'sha1' | 'sha256', name: string, branch: string) => {
    const work = join(opened.gitaly.storagePath(), `${format}-${branch}`);
    await runGit(['init', '-q', '-b', branch, `--object-format=${format}`, work]);
    await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);
    const header = `http.extraHeader=X-Git-Object-Format: ${format}`;
    await runGit(['-C', work, '-c', header, 'push', '-q', `${opened.gateway.url}/${name}`, 'HEAD']);
  };
  const branches = ['a', 'b', 'c', 'd'];

  await Promise.all(branches.map((branch) => push('sha1', 'group/new.git', branch)));
  await push('sha256', 'big.git', 'main');

  const at = (name: string, ...args: string[]) =>
    runGit(['-C', join(opened.gitaly.storagePath(), name), ...args]);
  assert.deepEqual((await at('group/new.git', 'branch', '--format=%(refname:short)')).split('\n'), branches);
  assert.equal(await at('big.git', 'rev-parse', '--show-object-format'), 'sha256');
});

test('the first branch becomes the default one, also when a tag was pushed before it', async () => {
  const failures: unknown[] = [];
  await using opened = await open({ createOnPush: {}, onFailure: (error) => failures.push(error) });
  const work = join(opened.gitaly.storagePath(), 'work');
  await runGit(['init', '-q', '-b', 'trunk', work]);
  await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);
  const push = (...specs: string[]) =>
    runGit(['-C', work, 'push', '-q', `${opened.gateway.url}/late.git`, ...specs]);
  const head = () => runGit(['-C', join(opened.gitaly.storagePath(), 'late.git'), 'symbolic-ref', 'HEAD']);

  await push('HEAD:refs/tags/v1');
  assert.equal(await head(), 'refs/heads/main');
  await push('HEAD:refs/heads/trunk');
  assert.equal(await head(), 'refs/heads/trunk');
  await push('HEAD:refs/heads/main');

  assert.equal(await head(), 'refs/heads/trunk');
  assert.deepEqual(failures, []);
});

test('only its own names reach a gateway on loopback', async () => {
  await using opened = await open({ hosts: ['git.example.com'] });
  const { port } = opened.gateway;
  const ask = async (host: string) => {
    const path = '/a.git/info/refs?service=git-upload-pack';
    const response = await responseTo(
      startRequest({ host: '127.0.0.1', port, path, headers: { host } }).end(),
    );
    return { status: response.statusCode, body: await text(response) };
  };

  const own = [
    'localhost',
    `localhost:${port}`,
    'LOCALHOST.',
    'git.localhost',
    '127.0.0.1',
    `127.1.2.3:${port}`,
  ];
  for (const host of [...own, `[::1]:${port}`, 'git.example.com', `Git.Example.com:${port}`, hostname()])
    assert.equal((await ask(host)).status, 200, host);
  const foreign = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '0.0.0.0', '10.0.0.1'];
  for (const host of [...foreign, 'x127.0.0.1', '[::]', 'example.com', 'a.git.example.com'])
    assert.equal((await ask(host)).status, 421, host);
  const { body } = await ask('evil.example:8080');
  assert.match(body, /^The name "evil\.example" is not a name of this server\..* --http-host NAME\.\n$/);
});

test('an authenticator determines who is accepted', async () => {
  const answer = { status: 401, text: 'Sign in.', headers: { 'WWW-Authenticate': 'Basic realm="git"' } };
  await using opened = await open({
    authenticator: {
      authenticate: async ({ headers, operation, path }) =>
        headers.authorization === `letmein ${operation} ${path}`
          ? { glId: 'user-2', username: 'bob' }
          : { answer },
    },
  });
  const url = `${opened.url}/info/refs?service=git-upload-pack`;

  const refused = await fetch(url);
  const welcome = await fetch(url, { headers: { Authorization: 'letmein read a.git' } });

  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get('www-authenticate'), 'Basic realm="git"');
  assert.equal(await refused.text(), 'Sign in.\n');
  assert.equal(welcome.status, 200);
  const line = await logLine(opened.gitaly, 'InfoRefsUploadPack');
  assert.deepEqual([line.user_id, line.username, line.remote_ip], ['user-2', 'bob', '127.0.0.1']);
});

test('without its server the gateway returns an error, and works again when the server is back', async () => {
  const failures: unknown[] = [];
  const gitaly = await startGitaly();
  await using gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    onFailure: (error) => failures.push(error),
  });
  await gitaly[Symbol.asyncDispose]();

  const response = await fetch(`${gateway.url}/a.git/info/refs?service=git-receive-pack`);

  assert.equal(response.status, 503);
  assert.match(await response.text(), /not available at this time/);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.equal(failures.length, 1);
});

/** Starts a request that was accepted and has sent only the beginning of its body. */
async function startFetch(url: string): Promise<ClientRequest> {
  const request = startRequest(`${url}/git-upload-pack`, {
    method: 'POST',
    headers: { 'Content-Type': UPLOAD_PACK, 'Git-Protocol': 'version=2', Expect: '100-continue' },
  });
  request.flushHeaders();
  await once(request, 'continue');
  request.write(LS_REFS.slice(0, 10)); // git waits for the rest
  return request;
}

test('a client that disconnects ends the call, and the gateway continues', async () => {
  await using opened = await open();
  const request = await startFetch(opened.url);
  request.on('error', () => {});
  await delay(100); // git has started by then, and the call would last for ever

  request.destroy();

  const line = await logLine(opened.gitaly, 'PostUploadPackWithSidechannel');
  assert.equal(line['grpc.code'], 'Canceled');
  assert.equal((await post(opened.url, LS_REFS)).status, 200);
});

test('incomplete request headers time out', async () => {
  await using opened = await open({ limits: { headersTimeoutMs: 100 } });
  const socket = connect(opened.gateway.port, '127.0.0.1');
  socket.write('GET /a.git/info/refs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');

  const answer = await text(socket);

  assert.match(answer, /^HTTP\/1\.1 408 /);
});

test('closing waits for running requests up to the grace period', async () => {
  const opened = await open();
  const request = await startFetch(opened.url);

  const closing = opened.gateway.close({ graceMs: 5000 });
  request.end(LS_REFS.slice(10));

  assert.match(await text(await responseTo(request)), /refs\/heads\/main/);
  await closing;
  await opened.gitaly[Symbol.asyncDispose]();
});

test('a path that the mapping does not know is no repository', async () => {
  const { repositoryAt } = storageMapping('default');
  await using opened = await open({
    mapping: { repositoryAt: (path) => (path === 'a.git' ? repositoryAt(path) : undefined) },
  });
  const statusOf = async (name: string): Promise<number> =>
    (await fetch(`${opened.gateway.url}/${name}/info/refs?service=git-upload-pack`)).status;

  assert.deepEqual([await statusOf('a.git'), await statusOf('b.git')], [200, 404]);
});

test('a browser is sent to the pages if there are some, and a program never', async () => {
  const pages = { answer: async () => ({ status: 200, headers: {}, body: 'page' }) };
  await using without = await open();
  await using opened = await open({ pages });
  const visit = async ({ gateway }: Opened, Accept: string): Promise<number> =>
    (await fetch(`${gateway.url}/`, { headers: { Accept }, redirect: 'manual' })).status;

  assert.deepEqual(
    [await visit(opened, 'text/html'), await visit(opened, '*/*'), await visit(without, 'text/html')],
    [303, 200, 200],
  );
});
