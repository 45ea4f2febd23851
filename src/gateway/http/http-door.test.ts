import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, type RequestOptions, request as startRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { runGit } from '#testkit/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { type HttpDoor, type HttpDoorOptions, openHttpDoor, storageMapping } from '../index.ts';

const LS_REFS = '0014command=ls-refs\n0000';
const UPLOAD_PACK = 'application/x-git-upload-pack-request';

interface Opened extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly door: HttpDoor;
  /** `http://…/a.git`, a repository with one commit on `main`. */
  readonly url: string;
}

async function open(options: Partial<HttpDoorOptions> = {}): Promise<Opened> {
  const gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'a' };
  await gitaly.connection.repository.createRepository({ repository });
  const path = join(gitaly.storagePath(), 'a.git');
  const tree = await runGit(['-C', path, 'mktree'], { input: '' });
  const commit = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', commit]);
  const door = await openHttpDoor({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    ...options,
  });
  return {
    gitaly,
    door,
    url: `${door.url}/a.git`,
    async [Symbol.asyncDispose]() {
      await door.close();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}

function post(url: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/git-upload-pack`, {
    method: 'POST',
    body,
    headers: { 'Content-Type': UPLOAD_PACK, 'Git-Protocol': 'version=2', ...headers },
  });
}

/** The line that the server writes when a call has ended. */
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

test('answers say what they are and are never cached', async () => {
  await using opened = await open();

  const refs = await fetch(`${opened.url}/info/refs?service=git-upload-pack`);
  const listing = await post(opened.url, LS_REFS);

  assert.equal(refs.status, 200);
  assert.equal(refs.headers.get('content-type'), 'application/x-git-upload-pack-advertisement');
  assert.match(await refs.text(), /^001e# service=git-upload-pack\n0000/);
  assert.equal(listing.headers.get('content-type'), 'application/x-git-upload-pack-result');
  assert.match(await listing.text(), /refs\/heads\/main\n0000$/);
  for (const response of [refs, listing, await fetch(opened.door.url)]) {
    assert.match(response.headers.get('cache-control') ?? '', /^no-cache/);
  }
});

test('a packed body is unpacked, a broken one is refused', async () => {
  await using opened = await open();

  const packed = await post(opened.url, new Uint8Array(gzipSync(LS_REFS)), { 'Content-Encoding': 'gzip' });
  const broken = await post(opened.url, 'this is no gzip', { 'Content-Encoding': 'gzip' });
  const unknown = await post(opened.url, LS_REFS, { 'Content-Encoding': 'br' });

  assert.match(await packed.text(), /refs\/heads\/main/);
  assert.equal(broken.status, 400);
  assert.equal(await broken.text(), 'The body of the request is not valid gzip.\n');
  assert.equal(unknown.status, 415);
});

test('a chunked body is read as it comes', async () => {
  await using opened = await open();
  const request = startRequest(`${opened.url}/git-upload-pack`, {
    method: 'POST',
    headers: { 'Content-Type': UPLOAD_PACK, 'Git-Protocol': 'version=2' },
  });

  for (const byte of LS_REFS) {
    request.write(byte);
    await delay(1);
  }
  request.end();

  assert.match(await text(await responseTo(request)), /refs\/heads\/main/);
});

test('a client that waits with its body is invited, or refused before it sends', async () => {
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
  assert.deepEqual(wrong, { isInvited: false, status: 415, body: `The content type must be ${UPLOAD_PACK}.\n` });
});

test('what is missing is not found, and says so', async () => {
  await using opened = await open();

  const pull = await fetch(`${opened.door.url}/none.git/info/refs?service=git-upload-pack`);
  const push = await fetch(`${opened.door.url}/none.git/info/refs?service=git-receive-pack`);
  const posted = await post(`${opened.door.url}/none.git`, LS_REFS);

  assert.deepEqual([pull.status, push.status, posted.status], [404, 404, 404]);
  assert.equal(await pull.text(), 'There is no such repository. Check the address.\n');
});

test('a refusal keeps the connection for the next request where no body is left over', async () => {
  await using opened = await open({
    authenticator: { authenticate: async () => ({ answer: { status: 401, text: 'Sign in.' } }) },
  });

  for (const path of ['/', '/a.git', '/a.git/HEAD', '/a.git/info/refs?service=git-upload-pack', '/a.git/info/lfs/locks']) {
    const response = await fetch(`${opened.door.url}${path}`);
    await response.text();
    assert.equal(response.headers.get('connection'), 'keep-alive', path);
  }
});

test('paths cannot leave the storage', async () => {
  await using opened = await open();
  const { port } = opened.door;

  for (const path of ['/../../etc', '/a.git/../../x', '/%2e%2e/x', '/a%00.git', '/a%5c..%5cx.git', '/+gitaly/tmp/x.git']) {
    const request = startRequest({ port, path: `${path}/info/refs?service=git-upload-pack` }).end();
    const response = await responseTo(request);
    response.resume();
    assert.equal(response.statusCode, 400, path);
  }
});

test('a push makes a missing repository, once, in the format that is asked for', async () => {
  await using opened = await open({ createOnPush: {} });
  const ask = (name: string, headers: Record<string, string> = {}) =>
    fetch(`${opened.door.url}/${name}/info/refs?service=git-receive-pack`, { headers });

  const many = await Promise.all(Array.from({ length: 8 }, () => ask('group/new.git')));
  const sha256 = await ask('big.git', { 'X-Git-Object-Format': 'sha256' });

  assert.deepEqual(
    many.map((response) => response.status),
    Array(8).fill(200),
  );
  assert.match((await many[0]?.text()) ?? '', /object-format=sha1/);
  assert.match(await sha256.text(), /object-format=sha256/);
});

test('an authenticator decides who comes in', async () => {
  const answer = { status: 401, text: 'Sign in.', headers: { 'WWW-Authenticate': 'Basic realm="git"' } };
  await using opened = await open({
    authenticator: {
      authenticate: async ({ headers, operation, path }) =>
        headers.authorization === `letmein ${operation} ${path}` ? { glId: 'user-2', username: 'bob' } : { answer },
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

test('without its server the door says so, and works again with it', async () => {
  const failures: unknown[] = [];
  const gitaly = await startGitaly();
  await using door = await openHttpDoor({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    onFailure: (error) => failures.push(error),
  });
  await gitaly[Symbol.asyncDispose]();

  const response = await fetch(`${door.url}/a.git/info/refs?service=git-receive-pack`);

  assert.equal(response.status, 503);
  assert.match(await response.text(), /not available at this time/);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.equal(failures.length, 1);
});

/** A request that has been let in and has sent only the beginning of its body. */
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

test('a client that leaves ends the call, and the door goes on', async () => {
  await using opened = await open();
  const request = await startFetch(opened.url);
  request.on('error', () => {});
  await delay(100);

  request.destroy();

  const line = await logLine(opened.gitaly, 'PostUploadPackWithSidechannel');
  assert.equal(line['grpc.code'], 'Canceled');
  assert.equal((await post(opened.url, LS_REFS)).status, 200);
});

test('a head that does not come to its end is not waited for', async () => {
  await using opened = await open({ limits: { headersTimeoutMs: 100 } });
  const socket = connect(opened.door.port, '127.0.0.1');
  socket.write('GET /a.git/info/refs HTTP/1.1\r\nHost: x\r\nX-Slow: ');

  const answer = await text(socket);

  assert.match(answer, /^HTTP\/1\.1 408 /);
});

test('closing waits for running requests as long as it is told', async () => {
  const opened = await open();
  const request = await startFetch(opened.url);

  const closing = opened.door.close({ graceMs: 5000 });
  request.end(LS_REFS.slice(10));

  assert.match(await text(await responseTo(request)), /refs\/heads\/main/);
  await closing;
  await opened.gitaly[Symbol.asyncDispose]();
});
