// Own process: Node keeps the certificates of the system, with those that another file has named

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { performServerHandshake } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { inspect } from 'node:util';
import { GitalyError } from '#base/gitaly-error';
import { TEST_CERTIFICATE, TEST_ISSUED_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { setVariable } from '#testkit/set-variable';
import { startGitaly } from '#testkit/start-gitaly';
import {
  CallError,
  type Connection,
  dial,
  healthCheckDialer,
  type Interceptor,
  withCorrelationId,
  wrapResponses,
} from './index.ts';

const TOKEN = 'a secret';

test('a server is reached over a unix socket, TCP, TLS and by DNS name', async () => {
  await using gitaly = await startGitaly({ tcp: true, tls: true });
  const tcp = new URL(gitaly.addresses.tcp ?? '');
  const tls = new URL(gitaly.addresses.tls ?? '');
  const ca = readFileSync(TEST_CERTIFICATE);

  for (const address of [
    gitaly.address,
    gitaly.address.replace('unix:', 'unix://'),
    `tcp://127.0.0.1:${tcp.port}`,
    `tls://localhost:${tls.port}`,
    `tls://127.0.0.1:${tls.port}`,
    `dns:127.0.0.1:${tcp.port}`,
    `dns:///localhost:${tcp.port}`,
    `dns+tls:localhost:${tls.port}`,
  ]) {
    await using connection = await dial(address, { tls: { ca } });
    const { status } = await connection.health.check({}, { timeoutMs: 10_000 });
    assert.equal(status, 1, address);
    assert.equal(connection.state, 'ready');
  }
});

test('the authority is the name and the port of the address, with dns+tls only the name', async () => {
  const authorities: (string | undefined)[] = [];
  const onSocket = (socket: Socket) => {
    const session = performServerHandshake(socket);
    session
      .on('error', () => {})
      .on('stream', (stream, headers) => {
        authorities.push(headers[':authority']);
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' },
          { endStream: true },
        );
      });
  };
  const [key, cert] = [readFileSync(TEST_KEY), readFileSync(TEST_CERTIFICATE)];
  const servers = [createServer(onSocket), createTlsServer({ key, cert }, onSocket)];
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      // a listening TCP server has an address of this shape
      return (server.address() as AddressInfo).port;
    }),
  );
  const [plain, secure] = ports;
  try {
    for (const address of [
      `tcp://127.0.0.1:${plain}`,
      `dns:localhost:${plain}`,
      `tls://localhost:${secure}`,
      `dns+tls:localhost:${secure}`,
    ]) {
      await using connection = await dial(address, { tls: { ca: cert } });
      await assert.rejects(connection.health.check({}), { code: 'UNIMPLEMENTED' });
    }
  } finally {
    for (const server of servers) server.close();
  }

  assert.deepEqual(authorities, [
    `127.0.0.1:${plain}`,
    `localhost:${plain}`,
    `localhost:${secure}`,
    'localhost',
  ]);
});

test('a certificate of SSL_CERT_FILE is trusted, an unknown one is not', async (context) => {
  await using gitaly = await startGitaly({ tls: true });
  const address = `tls://localhost:${new URL(gitaly.addresses.tls ?? '').port}`;
  {
    await using connection = await dial(address, { retry: false });
    await assert.rejects(connection.health.check({}), (error) => {
      assert.ok(error instanceof CallError);
      assert.equal(error.code, 'UNAVAILABLE');
      assert.match(error.message, /authentication handshake failed/);
      return true;
    });
  }

  setVariable(context, 'SSL_CERT_FILE', TEST_CERTIFICATE);
  await using connection = await dial(address);
  assert.equal((await connection.health.check({})).status, 1);
});

test('dialing an unavailable server succeeds, and calling it fails', async () => {
  await using connection = await dial('unix:/nowhere/gitaly.socket');

  await assert.rejects(connection.server.diskStatistics({}, { timeoutMs: 200 }), (error) => {
    assert.ok(error instanceof CallError);
    assert.match(error.code, /UNAVAILABLE|DEADLINE_EXCEEDED/);
    assert.equal(error.rpc, '/gitaly.ServerService/DiskStatistics');
    assert.equal(error.address, 'unix:/nowhere/gitaly.socket');
    return true;
  });
  await assert.rejects(connection.repository.createRepository({}), {
    code: 'UNAVAILABLE',
    message:
      'connection error: desc = "transport: Error while dialing: dial unix /nowhere/gitaly.socket: ' +
      'connect: no such file or directory"',
  });
});

test('a refused call says that it may be repeated, where it went, and what to check', async () => {
  await using connection = await dial('unix:/nowhere/gitaly.socket', { retry: false });

  await assert.rejects(connection.repository.createRepository({}), (error) => {
    assert.ok(error instanceof CallError);
    assert.deepEqual([error.code, error.operation, error.retryable], ['UNAVAILABLE', 'mutator', true]);
    const printed = inspect(error); // what Node prints for an error that nobody caught
    assert.match(printed, /rpc: '\/gitaly\.RepositoryService\/CreateRepository'/);
    assert.match(printed, /address: 'unix:\/nowhere\/gitaly\.socket'/);
    assert.match(printed, /Nothing was sent\. Check that a server listens on unix:\/nowhere\/gitaly\.socket/);
    return true;
  });
});

test("errors of the server's answer have a hint where there is a usual remedy", async () => {
  await using gitaly = await startGitaly({ token: TOKEN, dial: { maxReceiveMessageBytes: 10 } });
  await using stranger = await dial(gitaly.address);
  await using mistaken = await dial(gitaly.address, { token: 'other' });
  const hintOf = async (call: Promise<unknown>) => {
    const error = await call.catch((reason: unknown) => reason);
    assert.ok(error instanceof CallError);
    return error.hint;
  };

  assert.match((await hintOf(stranger.server.serverInfo({}))) ?? '', /^Pass the token of unix:/);
  assert.match((await hintOf(mistaken.server.serverInfo({}))) ?? '', /^The token for unix:/);
  assert.match((await hintOf(gitaly.connection.server.serverInfo({}))) ?? '', /maxReceiveMessageBytes/);
  const hintFor = (storageName: string) =>
    hintOf(
      gitaly.connection.ref.findDefaultBranchName({ repository: { storageName, relativePath: 'x.git' } }),
    );
  assert.match((await hintFor('nowhere')) ?? '', /^unix:\S+ has no storage of this name: .*\[\[storage\]\]/);
  assert.match((await hintFor('default')) ?? '', /^There is no repository at this path of unix:\S+: /);
  assert.equal(await hintOf(gitaly.connection.ref.refExists({})), undefined);
});

// Node's text advised --use-system-ca, which changes nothing here, and dial gave no hint.
test('an untrusted certificate is explained by its address and what helps, also by dial', async (context) => {
  const server = createTlsServer({
    key: readFileSync(TEST_KEY),
    cert: readFileSync(TEST_ISSUED_CERTIFICATE),
  });
  context.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  // a listening TCP server has an address of this shape
  const address = `tls://localhost:${(server.address() as AddressInfo).port}`;
  await using connection = await dial(address, { retry: false });
  const errors = await Promise.all([
    connection.server.serverInfo({}).catch((reason: unknown) => reason),
    dial(address, { failOnNonTemporaryDialError: true }).catch((reason: unknown) => reason),
  ]);

  for (const error of errors) {
    assert.ok(error instanceof GitalyError);
    assert.match(error.message, /authentication handshake failed: unable to verify the first certificate"$/);
    assert.match(
      error.hint ?? '',
      new RegExp(`^The certificate of ${address} is not trusted: .*SSL_CERT_FILE`),
    );
  }
});

test('a port without TLS is named as the reason of a failed handshake', async () => {
  await using gitaly = await startGitaly({ tcp: true });
  await using connection = await dial((gitaly.addresses.tcp ?? '').replace('tcp:', 'tls:'));

  const error = await connection.server.serverInfo({}).catch((reason: unknown) => reason);

  assert.ok(error instanceof CallError);
  assert.match(error.message, /transport: authentication handshake failed: \S.*"$/);
  assert.match(error.hint ?? '', /^tls:\S+ does not speak TLS: use tcp:/);
});

test('failOnNonTemporaryDialError reports a missing server at once', async () => {
  await assert.rejects(dial('unix:/nowhere/gitaly.socket', { failOnNonTemporaryDialError: true }), {
    code: 'UNAVAILABLE',
    message:
      /^failed to dial "unix:\/nowhere\/gitaly.socket" connection: connection error: .* no such file or directory"$/,
  });
});

test('calls are signed with the token, and a wrong token is refused', async () => {
  await using gitaly = await startGitaly({ token: TOKEN });
  await using right = await dial(gitaly.address, { token: TOKEN });
  await using wrong = await dial(gitaly.address, { token: 'wrong' });
  await using none = await dial(gitaly.address);

  await right.server.serverInfo({});
  await assert.rejects(wrong.server.serverInfo({}), { code: 'PERMISSION_DENIED' });
  await assert.rejects(none.server.serverInfo({}), {
    code: 'UNAUTHENTICATED',
    message: 'authentication required',
  });
});

test('the server receives the client name and the correlation id', async () => {
  await using gitaly = await startGitaly();
  await using connection = await dial(gitaly.address, {
    clientName: 'test-client',
    correlationId: 'by-dial',
  });

  await connection.server.serverInfo({});
  await withCorrelationId('by-context', () => connection.server.serverInfo({}));
  await withCorrelationId('by-context', () => connection.server.serverInfo({}, { correlationId: 'by-call' }));

  const lines = gitaly.log.filter((line) => line['grpc.method'] === 'ServerInfo');
  assert.deepEqual(
    lines.map((line) => line.correlation_id),
    ['by-dial', 'by-context', 'by-call'],
  );
  assert.equal(lines[0]?.['grpc.meta.client_name'], 'test-client');
});

test('a deadline and an abort end a call with their own codes', async () => {
  const server = createServer(() => {}); // accepts and sends nothing
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await using connection = await dial(`tcp://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  const reason = new Error('no longer wanted');

  await assert.rejects(connection.server.serverInfo({}, { timeoutMs: 20 }), {
    code: 'DEADLINE_EXCEEDED',
    message: 'context deadline exceeded',
  });
  const abort = new AbortController();
  const call = connection.server.serverInfo({}, { signal: abort.signal });
  setTimeout(() => abort.abort(reason), 20); // the server never responds
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof CallError);
    assert.equal(error.code, 'CANCELLED');
    assert.equal(error.cause, reason);
    return true;
  });
  await assert.rejects(connection.server.serverInfo({}, { signal: AbortSignal.abort(reason) }), {
    code: 'CANCELLED',
  });
  server.close();
});

test('closing ends running calls and refuses new ones', async (t) => {
  const server = createServer(() => {});
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const connection = await dial(`tcp://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  const closed = { name: 'CallError', code: 'CANCELLED', message: /the client connection is closing$/ };
  const waiting = assert.rejects(connection.repository.createRepository({}), closed);
  await connection.waitForReady({ timeoutMs: 5000 });
  await new Promise(setImmediate); // the first call is sent
  const sent = assert.rejects(connection.repository.createRepository({}), closed);

  await connection.close();

  await Promise.all([waiting, sent]);
  assert.equal(connection.state, 'shutdown');
  await assert.rejects(connection.repository.createRepository({}), {
    code: 'CANCELLED',
    message: 'grpc: the client connection is closing',
  });
});

test('a connection works again after the server was restarted', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dial-test-'));
  const socket = join(directory, 'g.sock');
  await using connection = await dial(`unix:${socket}`);
  for (let round = 0; round < 3; round++) {
    await using _gitaly = await startGitaly({ config: { socket_path: socket } });
    assert.equal((await connection.health.check({}, { timeoutMs: 10_000 })).status, 1);
  }
  rmSync(directory, { recursive: true });
});

test('interceptors see calls and responses, the first one outermost', async () => {
  await using gitaly = await startGitaly();
  const seen: string[] = [];
  const noting = (name: string): Interceptor => {
    return (invocation, next) => {
      seen.push(`${name} ${invocation.method.name}`);
      return next({ ...invocation, options: { ...invocation.options, metadata: { 'x-by': name } } });
    };
  };
  await using connection = await dial(gitaly.address, { interceptors: [noting('outer'), noting('inner')] });

  await connection.server.serverInfo({});

  assert.deepEqual(seen, ['outer ServerInfo', 'inner ServerInfo']);
});

test('an interceptor sees the responses of all kinds of calls and may change them', async () => {
  await using gitaly = await startGitaly();
  const seen: string[] = [];
  const watching: Interceptor = (invocation, next) =>
    wrapResponses(next(invocation), async function* (responses) {
      for await (const response of responses) {
        seen.push(invocation.method.name);
        yield response;
        yield* invocation.method.kind === 'server_stream' ? [response] : [];
      }
      seen.push('end');
    });
  await using connection = await dial(gitaly.address, { interceptors: [watching] });
  const repository = { storageName: 'default', relativePath: 'a.git' };
  let messages = 0;

  await connection.repository.createRepository({ repository });
  for await (const _ of connection.smartHttp.infoRefsUploadPack({ repository })) messages++;

  assert.deepEqual(seen.slice(0, 2), ['CreateRepository', 'end']);
  assert.equal(messages, 2 * seen.filter((name) => name === 'InfoRefsUploadPack').length);
  assert.ok(messages > 0);
});

test('headers and trailers are available', async () => {
  await using gitaly = await startGitaly();
  const seen: string[] = [];

  await gitaly.connection.server.serverInfo(
    {},
    {
      onHeaders: () => seen.push('headers'),
      onTrailers: (trailers) => seen.push(`status ${trailers.get('grpc-status')}`),
    },
  );

  assert.deepEqual(seen, ['headers', 'status 0']);
});

test('an idle client does not keep its process alive', async () => {
  await using gitaly = await startGitaly();
  const script = `
    import { dial } from '${import.meta.dirname}/index.ts';
    const connection = await dial('${gitaly.address}');
    const { status } = await connection.health.check({});
    console.log('status', status, connection.state);
  `;
  const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
  });
  const output = child.stdout.toArray();

  const [code] = await once(child, 'exit');

  assert.equal(code, 0);
  assert.equal((await output).join(''), 'status 1 ready\n');
});

test('a health-checking dialer passes on the error of the check and closes the connection', async () => {
  await using gitaly = await startGitaly({ token: TOKEN });
  const dialer = healthCheckDialer();

  await using connection = await dialer(gitaly.address, { token: TOKEN });
  assert.equal(connection.state, 'ready');
  await assert.rejects(dialer('unix:/nowhere/g.sock', { retry: false }), { code: 'UNAVAILABLE' });
  let last: Connection | undefined;
  const keeping = healthCheckDialer(async (address, options) => {
    last = await dial(address, options);
    return last;
  });
  await assert.rejects(keeping(gitaly.address, { signal: AbortSignal.abort() }), { code: 'CANCELLED' });
  assert.equal(last?.state, 'shutdown');
});
