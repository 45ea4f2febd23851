import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect as connectHttp2, performServerHandshake } from 'node:http2';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { TakeSocket } from '#platform/process/handover/listening-socket';
import { closed } from '#testkit/faults/closed';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { Peer } from '../handler.ts';
import { createServerTls, type ServerCertificate } from './certificate.ts';
import { FIRST_BYTES_MS } from './connection-limits.ts';
import { Listener, type ListenerOptions, type ListenTarget } from './listener.ts';
import { inheritSocketFile } from './unix-socket-file.ts';

const FIXTURES = join(import.meta.dirname, '../../../testkit/fixtures');
const CERTIFICATE: ServerCertificate = {
  certificate: readFileSync(join(FIXTURES, 'tls-certificate.pem')),
  key: readFileSync(join(FIXTURES, 'tls-key.pem')),
};

function temporaryDirectory(context: TestContext): string {
  const directory = makeScratchDirectory('listener');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a listener that sends its name to each connection. */
async function listen(
  context: TestContext,
  target: ListenTarget,
  options: Partial<ListenerOptions> = {},
): Promise<Listener> {
  const listener = await Listener.listen(target, {
    onConnection: (connection) => {
      connection.on('error', () => {});
      connection.end(`from ${target.transport}`);
    },
    ...options,
  });
  context.after(() => listener.destroy());
  return listener;
}

function portOf(listener: Listener): number {
  return Number(listener.address.split(':').at(-1));
}

function isOpenFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false; // it is closed
  }
}

for (const transport of ['unix', 'internal'] as const) {
  test(`a ${transport} listener accepts at its path and removes the file at its end`, async (context) => {
    const directory = temporaryDirectory(context);
    const path = join(directory, 'socket');
    const accepted: Peer['transport'][] = [];

    const listener = await listen(context, { transport, path }, { onAccept: (type) => accepted.push(type) });

    assert.equal(listener.address, path);
    assert.deepEqual(readdirSync(directory), ['socket']);
    assert.equal(await text(connect(path)), `from ${transport}`);
    await listener.stop();
    assert.deepEqual(readdirSync(directory), []);
    assert.deepEqual(accepted, [transport]);
  });
}

for (const host of ['127.0.0.1', '']) {
  test(`a tcp listener on ${JSON.stringify(host)} reports its port and its clients`, async (context) => {
    const peers: Omit<Peer, 'backchannelId'>[] = [];
    const onConnection = (connection: Duplex, peer: Omit<Peer, 'backchannelId'>) => {
      peers.push(peer);
      connection.end();
    };
    const listener = await listen(context, { transport: 'tcp', host, port: 0 }, { onConnection });

    const socket = connect(portOf(listener), '127.0.0.1');
    await once(socket, 'connect');
    const { localPort } = socket;
    await text(socket);

    assert.match(
      listener.address,
      host === '' ? /^(\[::\]|0\.0\.0\.0):[1-9]\d*$/ : /^127\.0\.0\.1:[1-9]\d*$/,
    );
    assert.deepEqual(peers, [{ transport: 'tcp', address: `127.0.0.1:${localPort}` }]);
  });
}

test('stop closes the listening socket and leaves the open connections', async (context) => {
  const path = join(temporaryDirectory(context), 'socket');
  let ours: Duplex | undefined;
  const onConnection = (connection: Duplex) => {
    ours = connection;
  };
  const listener = await listen(context, { transport: 'unix', path }, { onConnection });
  const socket = connect(path);
  await once(socket, 'connect');
  while (ours === undefined) await new Promise(setImmediate);

  await listener.stop();
  await listener.stop();
  ours.end('still here');

  assert.equal(await text(socket), 'still here');
  await assert.rejects(once(connect(path), 'connect'), { code: 'ENOENT' });
});

test('a client that ends its side is disconnected', async (context) => {
  const path = join(temporaryDirectory(context), 'socket');
  const onConnection = (connection: Duplex) => void connection.resume();
  const listener = await listen(context, { transport: 'unix', path }, { onConnection });

  const socket = connect(path).resume();
  socket.end();

  await once(socket, 'close');
  while (listener.connectionCount > 0) await new Promise(setImmediate);
});

test('destroy closes the open connections', async (context) => {
  const path = join(temporaryDirectory(context), 'socket');
  const listener = await listen(context, { transport: 'unix', path }, { onConnection: () => {} });
  const socket = connect(path);
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  while (listener.connectionCount === 0) await new Promise(setImmediate);

  await listener.destroy();

  await closed;
  assert.equal(listener.connectionCount, 0);
});

test('the socket file of a dead process is replaced', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'socket');
  // Simulates a killed process: a bound file without a listener. A rename hides it from the
  // runtime's clean-up.
  const dead = createServer().listen(join(directory, 'hidden'));
  await once(dead, 'listening');
  renameSync(join(directory, 'hidden'), path);
  await new Promise((resolve) => dead.close(resolve));
  assert.equal(existsSync(path), true);

  await listen(context, { transport: 'unix', path });

  assert.equal(await text(connect(path)), 'from unix');
});

test('a socket with a listener is left unchanged', async (context) => {
  const path = join(temporaryDirectory(context), 'socket');
  await listen(context, { transport: 'unix', path });

  await assert.rejects(listen(context, { transport: 'unix', path }), {
    code: 'INTERNAL',
    message: `listen unix ${path}: bind: address already in use`,
  });
  assert.equal(await text(connect(path)), 'from unix');
});

test('an old listener does not remove the file of a newer one', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'socket');
  const old = await listen(context, { transport: 'unix', path });
  rmSync(path);
  await listen(context, { transport: 'internal', path });

  await old.stop();

  assert.equal(await text(connect(path)), 'from internal');
});

for (const { name, path, message } of [
  { name: 'a file that is no socket', path: 'file', message: 'address already in use' },
  { name: 'a symbolic link', path: 'link', message: 'address already in use' },
  { name: 'a directory that does not exist', path: 'no/such', message: 'no such file or directory' },
  { name: 'a path that is too long', path: 'x'.repeat(100), message: 'invalid argument' },
]) {
  test(`listening at ${name} fails and changes nothing`, async (context) => {
    const directory = temporaryDirectory(context);
    writeFileSync(join(directory, 'file'), 'precious');
    symlinkSync('file', join(directory, 'link'));

    await assert.rejects(listen(context, { transport: 'unix', path: join(directory, path) }), {
      message: `listen unix ${join(directory, path)}: bind: ${message}`,
    });
    assert.deepEqual(readdirSync(directory).sort(), ['file', 'link']);
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'precious');
  });
}

test('a port in use is an error with its address', async (context) => {
  const first = await listen(context, { transport: 'tcp', host: '127.0.0.1', port: 0 });

  await assert.rejects(listen(context, { transport: 'tcp', host: '127.0.0.1', port: portOf(first) }), {
    message: `listen tcp ${first.address}: bind: address already in use`,
  });
});

for (const { name, protocols } of [
  { name: 'without ALPN', protocols: undefined },
  { name: 'with ALPN h2', protocols: ['http/1.1', 'h2'] },
]) {
  test(`a TLS client ${name} is served`, async (context) => {
    const target = {
      transport: 'tls',
      host: '127.0.0.1',
      port: 0,
      tls: createServerTls(CERTIFICATE),
    } as const;
    const accepted: string[] = [];
    const listener = await listen(context, target, { onAccept: (type) => accepted.push(type) });

    const socket = await secured(context, listener, { ...(protocols && { ALPNProtocols: protocols }) });

    assert.equal(await text(socket), 'from tls');
    assert.equal(socket.alpnProtocol, protocols === undefined ? false : 'h2');
    assert.deepEqual(accepted, ['tls']);
  });
}

test('TLS below the configured version is refused', async (context) => {
  const tls = createServerTls({ ...CERTIFICATE, minVersion: 'TLSv1.3' });
  const listener = await listen(context, { transport: 'tls', host: '127.0.0.1', port: 0, tls });

  await assert.rejects(secured(context, listener, { maxVersion: 'TLSv1.2' }), {
    code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  });
  assert.equal((await secured(context, listener, {})).getProtocol(), 'TLSv1.3');
});

test('a TLS client that speaks only other protocols is refused', async (context) => {
  const tls = createServerTls(CERTIFICATE);
  const listener = await listen(context, { transport: 'tls', host: '127.0.0.1', port: 0, tls });

  await assert.rejects(secured(context, listener, { ALPNProtocols: ['http/1.1'] }), {
    code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
  });
});

test('the server chooses a cipher with forward secrecy, from TLS 1.2 on', async (context) => {
  const tls = createServerTls(CERTIFICATE);
  const listener = await listen(context, { transport: 'tls', host: '127.0.0.1', port: 0, tls });
  const [best, other] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'];
  const before = { maxVersion: 'TLSv1.2' } as const;

  const chosen = await secured(context, listener, { ...before, ciphers: `${other}:${best}` });

  assert.equal(chosen.getCipher().name, best);
  await assert.rejects(secured(context, listener, { ...before, ciphers: 'AES128-GCM-SHA256' }), {
    code: /ALERT_HANDSHAKE_FAILURE$/,
  });
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await assert.rejects(secured(context, listener, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
});

test('a TLS client is named by its address, and counts until it has gone', async (context) => {
  const peers: Omit<Peer, 'backchannelId'>[] = [];
  const tls = createServerTls(CERTIFICATE);
  const onConnection = (_: Duplex, peer: Omit<Peer, 'backchannelId'>) => void peers.push(peer);
  const listener = await listen(
    context,
    { transport: 'tls', host: '127.0.0.1', port: 0, tls },
    { onConnection },
  );

  const socket = await secured(context, listener, {});
  while (peers.length === 0) await new Promise(setImmediate);

  assert.deepEqual(peers, [{ transport: 'tls', address: `127.0.0.1:${socket.localPort}` }]);
  assert.equal(listener.connectionCount, 1);
  socket.destroy();
  while (listener.connectionCount > 0) await new Promise(setImmediate);
});

test('a TLS client has two minutes for its first bytes', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const tls = createServerTls(CERTIFICATE);
  const listener = await listen(context, { transport: 'tls', host: '127.0.0.1', port: 0, tls });
  const silent = connect(portOf(listener), '127.0.0.1');
  while (listener.connectionCount === 0) await new Promise(setImmediate);

  context.mock.timers.tick(119_999);
  await new Promise(setImmediate);
  assert.equal(listener.connectionCount, 1);
  context.mock.timers.tick(1);

  await once(silent.resume(), 'close');
});

test('an IPv6 address stands in brackets', async (context) => {
  const peers: Omit<Peer, 'backchannelId'>[] = [];
  const onConnection = (connection: Duplex, peer: Omit<Peer, 'backchannelId'>) => {
    peers.push(peer);
    connection.end();
  };
  const listening = listen(context, { transport: 'tcp', host: '::1', port: 0 }, { onConnection });
  const listener = await listening.catch(() => undefined);
  if (listener === undefined) return context.skip('there is no IPv6');

  const socket = connect(portOf(listener), '::1');
  await once(socket, 'connect');
  const { localPort } = socket;
  await text(socket);

  assert.match(listener.address, /^\[::1\]:\d+$/);
  assert.deepEqual(peers, [{ transport: 'tcp', address: `[::1]:${localPort}` }]);
});

test('a stop for a drain gives the newest connection time for its first bytes', async (context) => {
  const path = join(temporaryDirectory(context), 'socket');
  const listener = await listen(context, { transport: 'unix', path }, { onConnection: () => {} });
  const unused = await listen(context, { transport: 'tcp', host: '127.0.0.1', port: 0 });
  const startedAt = performance.now();
  await unused.stopForDrain();
  assert.ok(performance.now() - startedAt < FIRST_BYTES_MS);

  const socket = connect(path);
  while (listener.connectionCount === 0) await new Promise(setImmediate);
  const acceptedAt = performance.now();
  await listener.stopForDrain();

  // The accept was a little before.
  assert.ok(performance.now() - acceptedAt > FIRST_BYTES_MS / 2);
  assert.equal(existsSync(path), false);
  socket.destroy();

  const other = await listen(context, { transport: 'unix', path });
  // Files are removed by the threads that compute these, after them.
  for (let count = 0; count < 16; count++) pbkdf2('a', 'b', 100_000, 64, 'sha512', () => {});
  await other.stopForDrain();
  assert.equal(existsSync(path), false);
});

test('a listener offers its socket to a successor, who then owns the file', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'socket');
  const listener = await listen(context, { transport: 'unix', path });
  const tcp = await listen(context, { transport: 'tcp', host: '127.0.0.1', port: 0 });
  const internal = await listen(context, { transport: 'internal', path: join(directory, 'internal') });

  assert.equal(internal.socket, undefined);
  assert.equal(tcp.socket?.name, 'tcp:127.0.0.1:0');
  const { name, fd, keepsFile, handOver } = listener.socket ?? assert.fail('there is no socket');
  assert.deepEqual([name, fd > 2, keepsFile], [`unix:${path}`, true, false]);
  handOver();
  await listener.stop();

  assert.equal(existsSync(path), true);
  assert.equal(listener.socket, undefined);
});

test('an inherited socket whose file is gone is closed, and a new one takes its place', async (context) => {
  const directory = temporaryDirectory(context);
  const [path, internal] = [join(directory, 'socket'), join(directory, 'internal')];
  writeFileSync(join(directory, 'inherited'), '');
  const fd = openSync(join(directory, 'inherited'), 'r');
  const asked: string[] = [];
  const takeSocket: TakeSocket = (name, role) => {
    asked.push(`${name} as ${role}`);
    return { fd, keepsFile: true };
  };

  const listener = await listen(context, { transport: 'unix', path }, { takeSocket });
  await listen(context, { transport: 'internal', path: internal }, { takeSocket });

  assert.deepEqual(asked, [`unix:${path} as unix`]);
  // The next descriptor may have its number.
  assert.equal(isOpenFile(fd), false);
  assert.equal(await text(connect(path)), 'from unix');
  assert.equal(listener.socket?.keepsFile, false);
  await listener.stop();
  assert.equal(existsSync(path), false);
});

test('an inherited socket’s file is removed if it is ours, and still the same', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'socket');
  writeFileSync(join(directory, 'file'), '');
  assert.equal(await inheritSocketFile(join(directory, 'file'), () => false), undefined);
  assert.equal(await inheritSocketFile(path, () => false), undefined);
  await listen(context, { transport: 'unix', path });
  let isKept = true;
  const file = await inheritSocketFile(path, () => isKept);

  await file?.remove();
  assert.equal(existsSync(path), true);
  isKept = false;
  renameSync(path, join(directory, 'old'));
  await listen(context, { transport: 'unix', path });
  await file?.remove();
  assert.equal(existsSync(path), true, 'it is another one');
  renameSync(join(directory, 'old'), path);
  await file?.remove();

  assert.equal(existsSync(path), false);
});

test('a certificate for a listener without TLS changes nothing', async (context) => {
  const listener = await listen(context, { transport: 'tcp', host: '127.0.0.1', port: 0 });

  listener.renewTls(createServerTls(CERTIFICATE));

  assert.equal(await text(connect(portOf(listener), '127.0.0.1')), 'from tcp');
});

test('a client that does not finish the TLS handshake is disconnected', async (context) => {
  const tls = createServerTls(CERTIFICATE);
  const target = { transport: 'tls', host: '127.0.0.1', port: 0, tls } as const;
  let wasServed = false;
  const onConnection = () => {
    wasServed = true;
  };
  const listener = await listen(context, target, { tlsHandshakeTimeoutMs: 20, onConnection });

  const silent = connect(portOf(listener), '127.0.0.1');
  await closed(silent);
  const loud = connect(portOf(listener), '127.0.0.1', () => loud.end('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  await closed(loud.resume());

  assert.equal(wasServed, false);
  while (listener.connectionCount > 0) await new Promise(setImmediate);
});

test('new connections use a renewed certificate', async (context) => {
  const tls = createServerTls({ ...CERTIFICATE, minVersion: 'TLSv1.3' });
  const listener = await listen(context, { transport: 'tls', host: '127.0.0.1', port: 0, tls });

  listener.renewTls(createServerTls(CERTIFICATE));

  assert.equal((await secured(context, listener, { maxVersion: 'TLSv1.2' })).getProtocol(), 'TLSv1.2');
});

for (const [name, certificate] of [
  ['no PEM', { certificate: 'not a certificate', key: CERTIFICATE.key }],
  ['an empty key', { certificate: CERTIFICATE.certificate, key: 'not a key' }],
] as const) {
  test(`a certificate with ${name} is an error before the server listens`, () => {
    assert.throws(() => createServerTls(certificate), {
      code: 'INTERNAL',
      message: /^error reading certificate and key paths: loading x509 keypair: /,
    });
  });
}

test('HTTP/2 runs on the connections of a TLS listener', async (context) => {
  const tls = createServerTls(CERTIFICATE);
  const onConnection = (connection: Duplex) => {
    performServerHandshake(connection).on('stream', (stream) => stream.respond() ?? stream.end('hello'));
  };
  const listener = await listen(
    context,
    { transport: 'tls', host: '127.0.0.1', port: 0, tls },
    { onConnection },
  );
  const session = connectHttp2(`https://localhost:${portOf(listener)}`, { rejectUnauthorized: false });

  const answer = await text(session.request());
  session.destroy();

  assert.equal(answer, 'hello');
});

async function secured(
  context: TestContext,
  listener: Listener,
  options: ConnectionOptions,
): Promise<TLSSocket> {
  const socket = connectTls({
    port: portOf(listener),
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...options,
  });
  context.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}
