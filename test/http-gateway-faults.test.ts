// Own process: it measures memory

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, symlinkSync } from 'node:fs';
import { request as startRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type HttpGateway, type HttpGatewayOptions, startHttpGateway, storageMapping } from '#gateway/index';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { descriptorLimit, openDescriptors, processesIn } from '#testkit/measure/process-usage';
import { FLUSH, packet, ZERO_OID } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { extent } from '#testkit/soak';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

/** For longer than this, a client does not repeat a call by itself. */
const BEYOND_RETRIES_MS = 2500;
const UPLOAD_PACK = { 'Content-Type': 'application/x-git-upload-pack-request', 'Git-Protocol': 'version=2' };
const TLS = { certificatePath: TEST_CERTIFICATE, keyPath: TEST_CERTIFICATE.replace('certificate', 'key') };

interface Opened {
  readonly gitaly: TestGitaly;
  readonly gateway: HttpGateway;
  /** `http://…/a.git`, a repository with one commit of `blobBytes` random bytes. */
  readonly url: string;
  readonly path: string;
}

async function open(
  context: TestContext,
  { blobBytes = 10, ...options }: Partial<HttpGatewayOptions> & { blobBytes?: number } = {},
): Promise<Opened> {
  const gitaly = await startGitaly();
  await gitaly.connection.repository.createRepository({
    repository: { storageName: 'default', relativePath: 'a.git' },
  });
  const path = join(gitaly.storagePath(), 'a.git');
  const blob = Buffer.alloc(blobBytes);
  for (let at = 0; at < blob.length; at += 65_536) crypto.getRandomValues(blob.subarray(at, at + 65_536));
  const oid = await runGit(['-C', path, 'hash-object', '-w', '--stdin'], { input: blob });
  const tree = await runGit(['-C', path, 'mktree'], { input: `100644 blob ${oid}\tfile\n` });
  const commit = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', commit]);
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    ...options,
  });
  context.after(async () => {
    await gateway.close();
    await gitaly[Symbol.asyncDispose]();
  });
  return { gitaly, gateway, path, url: `${gateway.url}/a.git` };
}

/** Opens a silent connection; data received until it was closed or reset is in `answer`. */
async function dial(gateway: HttpGateway): Promise<{ socket: Socket; answer: Promise<string> }> {
  const socket = connect(gateway.port, '127.0.0.1');
  await once(socket, 'connect');
  return { socket, answer: textUntilClosed(socket) };
}

/**
 * Returns the received text. A connection that is closed while the client sends may be reset; only
 * earlier data matters.
 */
async function textUntilClosed(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {}); // 'close' follows
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks).toString();
}

const head = (path: string, headers: Record<string, string>, method = 'POST'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;

async function assertWorks({ url }: Opened): Promise<void> {
  assert.match(await runGit(['ls-remote', url]), /refs\/heads\/main/);
}

/**
 * Lists the files of a directory. A git that is killed while it creates its quarantine may leave
 * the empty directory.
 */
function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name));
}

const SLOW: readonly [string, string, number, RegExp][] = [
  [
    'a head that trickles',
    'GET /a.git/info/refs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
    408,
    /request headers did not arrive in time/,
  ],
  [
    'a fetch whose body stands still',
    `${head('/a.git/git-upload-pack', { ...UPLOAD_PACK, 'Content-Length': '20' })}0014`,
    408,
    /body of the request was idle for 0\.3 seconds/,
  ],
  [
    'a push whose body stands still',
    `${head('/a.git/git-receive-pack', {
      'Content-Type': 'application/x-git-receive-pack-request',
      'Content-Length': '2000',
    })}00a0`,
    408,
    /body of the request was idle for 0\.3 seconds/,
  ],
];

for (const [name, bytes, status, words] of SLOW) {
  test(`${name} is answered with ${status}, and no process waits for the rest`, async (context) => {
    const opened = await open(context, { limits: { headersTimeoutMs: 300, bodyIdleTimeoutMs: 300 } });
    const { answer, socket } = await dial(opened.gateway);
    socket.write(bytes);

    const said = await answer;

    assert.match(said, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(said, words);
    await until(() => processesIn(opened.path).length === 0, 'no process');
    await assertWorks(opened);
  });
}

test('a body that trickles for too long is answered with 408', async (context) => {
  const opened = await open(context, { limits: { uploadPackBodyTimeoutMs: 600, bodyIdleTimeoutMs: 300 } });
  const { answer, socket } = await dial(opened.gateway);
  socket.write(head('/a.git/git-upload-pack', { ...UPLOAD_PACK, 'Content-Length': '2000' }));

  socket.write('0fff');
  const trickle = setInterval(() => socket.write('x'), 50);
  const said = await answer;
  clearInterval(trickle);

  assert.match(said, /^HTTP\/1\.1 408 [\s\S]*has not ended after 0\.6 seconds/);
  await assertWorks(opened);
});

test('a body that continues after git has responded does not keep the connection', async (context) => {
  const opened = await open(context);
  const { answer, socket } = await dial(opened.gateway);
  socket.write(`${head('/a.git/git-upload-pack', { ...UPLOAD_PACK, 'Content-Length': '2000' })}${FLUSH}`);

  const trickle = setInterval(() => socket.write('x'), 50);
  const said = await answer;
  clearInterval(trickle);

  assert.match(said, /^HTTP\/1\.1 200 /);
});

test('large bodies are refused: with a length, without a length, and compressed', async (context) => {
  const opened = await open(context, {
    limits: { maxUploadPackBodyBytes: 100_000, maxReceivePackBodyBytes: 100_000 },
  });
  const many = 10_000;
  const requests = {
    'git-upload-pack': `${packet('command=fetch')}0001${packet(`have ${'a'.repeat(40)}\n`).repeat(many)}`,
    'git-receive-pack': packet(`${ZERO_OID} ${'a'.repeat(40)} refs/heads/new`).repeat(many),
  };
  for (const [service, bytes] of Object.entries(requests)) {
    const bodies: [string, Record<string, string>, string | Buffer][] = [
      ['announced', { 'Content-Length': String(bytes.length) }, ''],
      ['chunked', { 'Transfer-Encoding': 'chunked' }, bytes],
      ['packed', { 'Content-Encoding': 'gzip' }, gzipSync(bytes)],
    ];
    for (const [name, more, body] of bodies) {
      const headers = {
        'Content-Type': `application/x-${service}-request`,
        'Git-Protocol': 'version=2',
        ...more,
      };
      const request = startRequest(`${opened.url}/${service}`, { method: 'POST', headers });
      request.on('error', () => {}); // it may still be sending
      if (body === '') request.flushHeaders();
      else request.end(body);
      const [response] = await once(request, 'response');
      assert.equal(response.statusCode, 413, `${name} ${service}`);
      assert.match(await text(response), /limit of 100000 bytes/);
      request.destroy();
    }
  }
  await assertWorks(opened);
  await until(() => processesIn(opened.path).length === 0, 'no process');
});

test('a client that does not read receives only what the buffers hold', async (context) => {
  const opened = await open(context, { blobBytes: 60_000_000 });
  const oid = await runGit(['-C', opened.path, 'rev-parse', 'main']);
  const body = `${packet('command=fetch')}0001${packet(`want ${oid}\n`)}${packet('done\n')}${FLUSH}`;
  const before = process.memoryUsage.rss();
  const { socket } = await dial(opened.gateway);
  socket.pause();
  socket.write(
    head('/a.git/git-upload-pack', { ...UPLOAD_PACK, 'Content-Length': String(body.length) }) + body,
  );

  await until(() => processesIn(opened.path).some((line) => line.includes('pack')), 'git sends');
  await delay(1500); // time in which a buffer without a limit would fill
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < 40_000_000, `${grown} bytes more for a client that reads nothing`);

  socket.destroy();
  await until(() => processesIn(opened.path).length === 0, 'no process');
  await assertWorks(opened);
});

test('a client that disconnects during a push leaves no process, object or reference', async (context) => {
  const opened = await open(context);
  const before = await runGit(['-C', opened.path, 'for-each-ref']);
  const objects = filesIn(join(opened.path, 'objects'));
  const { socket } = await dial(opened.gateway);
  const type = 'application/x-git-receive-pack-request';
  const command = packet(`${ZERO_OID} ${'1'.repeat(40)} refs/heads/new\0report-status`);
  socket.write(head('/a.git/git-receive-pack', { 'Content-Type': type, 'Transfer-Encoding': 'chunked' }));
  const chunk = `${command}${FLUSH}PACK\0\0\0\x02\0\0\0\x09`;
  socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`, 'latin1');
  await until(() => processesIn(opened.path).length > 0, 'git runs');

  socket.destroy();

  await until(() => processesIn(opened.path).length === 0, 'no process');
  assert.deepEqual(filesIn(join(opened.path, 'objects')), objects);
  assert.equal(await runGit(['-C', opened.path, 'for-each-ref']), before);
  await runGit(['-C', opened.path, 'fsck', '--full', '--strict']);
});

test('the limits of requests per client and in total apply', async (context) => {
  const opened = await open(context, {
    limits: { maxRequests: 3, maxRequestsPerClient: 2 },
    trustedProxies: ['127.0.0.1'],
  });
  /** Sends a request that was accepted and waits for its body. */
  const hold = async (client: string): Promise<Socket> => {
    const headers = {
      ...UPLOAD_PACK,
      'X-Forwarded-For': client,
      'Content-Length': '20',
      Expect: '100-continue',
    };
    for (let asked = 1; ; asked++) {
      const { socket } = await dial(opened.gateway);
      socket.write(head('/a.git/git-upload-pack', headers));
      const [said] = await once(socket, 'data');
      if (String(said).startsWith('HTTP/1.1 100 ')) return socket;
      assert.ok(asked < 100, `${client} is not let in: ${said}`);
      socket.destroy();
      await delay(50); // before the next attempt
    }
  };
  /** Repeats a request until the server has detected the data on other connections. */
  const askUntil = async (client: string, status: number): Promise<Response> => {
    for (let asked = 1; ; asked++) {
      const response = await fetch(`${opened.url}/info/refs?service=git-upload-pack`, {
        headers: { 'X-Forwarded-For': client },
      });
      if (response.status === status) return response;
      assert.ok(asked < 100, `${client} gets ${response.status} and not ${status}`);
      await response.body?.cancel();
      await delay(50); // before the next attempt
    }
  };
  const held = [await hold('192.0.2.1'), await hold('192.0.2.1')];

  const same = await askUntil('192.0.2.1', 429);
  const other = await askUntil('192.0.2.2', 200);
  await other.text();
  held.push(await hold('192.0.2.2'));
  const third = await askUntil('192.0.2.3', 503);

  assert.deepEqual([same.headers.get('retry-after'), third.headers.get('retry-after')], ['1', '1']);
  assert.match(await same.text(), /too many running requests/);
  assert.match(await third.text(), /overloaded/);
  for (const socket of held) socket.destroy();
  await (await askUntil('192.0.2.1', 200)).text();
});

test('a request that takes too long is ended', async (context) => {
  const opened = await open(context, { limits: { requestTimeoutMs: 400 } });
  const { answer, socket } = await dial(opened.gateway);
  socket.write(head('/a.git/git-upload-pack', { ...UPLOAD_PACK, 'Content-Length': '20' }));

  assert.match(await answer, /^HTTP\/1\.1 504 [\s\S]*longer than this server allows/);
  await until(() => processesIn(opened.path).length === 0, 'no process');
});

const GARBAGE: readonly [string, string | Buffer][] = [
  ['random bytes', crypto.getRandomValues(Buffer.alloc(4096))],
  ['a TLS greeting', Buffer.from('16030100c8010000c40303', 'hex')],
  ['gRPC', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['the git protocol', '0033git-upload-pack /a.git\0host=x\0'],
  ['a head without an end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`],
  [
    'two lengths',
    'POST /a.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\n' +
      'Content-Length: 1\r\nContent-Length: 2\r\n\r\n',
  ],
  [
    'a length and chunks',
    'POST /a.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n' +
      'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n'],
  ['a zero byte in the path', 'GET /a\0.git/info/refs HTTP/1.1\r\nHost: localhost\r\n\r\n'],
];

for (const tls of [undefined, TLS]) {
  test(`garbage on the ${tls ? 'HTTPS' : 'HTTP'} port is refused and affects nobody`, async (context) => {
    const opened = await open(context, { limits: { headersTimeoutMs: 500 }, ...(tls && { tls }) });
    for (const [name, bytes] of GARBAGE) {
      const { answer, socket } = await dial(opened.gateway);
      socket.write(bytes);
      // The limit of a wait for the response.
      const said = await Promise.race([answer, delay(5000, undefined, { ref: false })]);
      assert.notEqual(said, undefined, `${name}: the connection stays open`);
      if (!tls) assert.match(said ?? '', /^(HTTP\/1\.1 (400|408|431) |$)/, name);
    }
    const env = { GIT_SSL_CAINFO: TEST_CERTIFICATE };
    assert.match(await runGit(['ls-remote', opened.url], { env }), /refs\/heads\/main/);
  });
}

test('the path of a request is used unchanged', async (context) => {
  const opened = await open(context);
  const query = 'info/refs?service=git-upload-pack';
  for (const target of [
    `/../a.git/${query}`,
    `/x/../a.git/${query}`,
    `/%2e%2e/a.git/${query}`,
    `/a.git%00/${query}`,
    `//a.git/${query}`,
    `/\\a.git/${query}`,
    `/a%5cb.git/${query}`,
    `/%2fetc.git/${query}`,
    `http://x/a.git/${query}`,
    `a.git/${query}`,
    `/${'a'.repeat(9000)}.git/${query}`,
  ]) {
    const { answer, socket } = await dial(opened.gateway);
    socket.end(head(target, { Connection: 'close' }, 'GET'));
    assert.match(await answer, /^HTTP\/1\.1 (400|414) /, target.slice(0, 40));
  }
});

test('git-lfs receives an error in its own format', async (context) => {
  const opened = await open(context);
  for (const path of ['objects/batch', 'locks/verify']) {
    const response = await fetch(`${opened.url}/info/lfs/${path}`, {
      method: 'POST',
      body: JSON.stringify({ operation: 'upload', objects: [] }),
      headers: { Accept: 'application/vnd.git-lfs+json', 'Content-Type': 'application/vnd.git-lfs+json' },
    });

    assert.equal(response.status, 501);
    assert.equal(response.headers.get('content-type'), 'application/vnd.git-lfs+json');
    const answer: unknown = await response.json();
    assert.match(JSON.stringify(answer), /^\{"message":"This server does not support Git LFS\./);
  }
});

/** Both ends of a connection are in this process. */
const IDLE_CONNECTIONS = Math.min(
  extent('IDLE_CONNECTIONS', { short: 800, long: 10_000 }),
  Math.floor(descriptorLimit() / 2) - 250,
);
const MAX_BYTES_PER_CONNECTION = 24 * 1024;

test(`${IDLE_CONNECTIONS} idle connections cost little, and are closed in time`, async (context) => {
  const opened = await open(context, { limits: { headersTimeoutMs: 8000 } });
  await assertWorks(opened);
  const [before, descriptors] = [process.memoryUsage.rss(), openDescriptors(process.pid)];
  const idle: Socket[] = [];
  context.after(() => idle.forEach((socket) => void socket.destroy()));
  for (let i = 0; i < IDLE_CONNECTIONS; i++) {
    const { socket } = await dial(opened.gateway);
    idle.push(socket);
  }

  await assertWorks(opened);
  const perConnection = (process.memoryUsage.rss() - before) / IDLE_CONNECTIONS;
  // Both ends are in this process.
  assert.ok(perConnection < 2 * MAX_BYTES_PER_CONNECTION, `${perConnection} bytes for each`);
  await until(
    () => openDescriptors(process.pid) <= descriptors + 50,
    () => `${openDescriptors(process.pid) - descriptors} descriptors are still open`,
  );
});

// Git ended at the first bytes, so the limit of the size was not reached: "500, the server failed".
test('a body that is no request of git is refused, also when it unpacks to gigabytes', async (context) => {
  const { gitaly, url, ...opened } = await open(context);
  // As many zeros as a gigabyte: each member of gzip is unpacked by itself.
  const bomb = Buffer.concat(Array(16).fill(gzipSync(Buffer.alloc(64 << 20), { level: 1 })));
  for (const service of ['git-receive-pack', 'git-upload-pack'])
    for (const [body, encoding] of [
      [bomb, 'gzip'],
      ['<html>', 'identity'],
      ['00', 'identity'],
    ] as const) {
      const headers = { 'Content-Type': `application/x-${service}-request`, 'Content-Encoding': encoding };
      const response = await fetch(`${url}/${service}`, { method: 'POST', headers, body });

      assert.equal(response.status, 400, service);
      assert.match(await response.text(), /^The body of the request is not one of Git's protocol\./);
    }
  await until(() => processesIn(gitaly.storagePath()).length === 0);
  await assertWorks({ gitaly, url, ...opened });
});

// The pauses between attempts to connect grew with each request, so the first pushes after a
// restart were refused, too.
test('a push waits a moment for a server that was away, and is served once it is back', async (context) => {
  const { gitaly } = await open(context);
  const socket = join(gitaly.directory, 'later.socket');
  const gateway = await startHttpGateway({
    gitaly: { address: `unix:${socket}` },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  context.after(() => gateway.close());
  const startedMs = performance.now();
  const refused = await fetch(`${gateway.url}/a.git/info/refs?service=git-upload-pack`);
  const waitedMs = performance.now() - startedMs;
  assert.equal(refused.status, 503);
  assert.match(await refused.text(), /not available at this time/);
  assert.ok(waitedMs > 4000 && waitedMs < 20_000, `${waitedMs} ms`);
  const path = join(gitaly.storagePath(), 'a.git');
  const pushing = runGit(['-C', path, 'push', '-q', `${gateway.url}/a.git`, 'main:refs/heads/pushed']);
  await delay(BEYOND_RETRIES_MS);
  symlinkSync(gitaly.address.replace('unix:', ''), socket);

  await pushing;

  assert.match(await runGit(['-C', path, 'for-each-ref']), /refs\/heads\/pushed/);
});
