import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import ssh2 from 'ssh2';
import {
  assertServes,
  type Client,
  connectionClosed,
  dialGateway,
  ended,
  LIST,
  logIn,
  openSession,
  rawOf,
  startGateway,
} from '#testkit/clients/ssh-gateway-fixture';
import { closed } from '#testkit/faults/closed';
import { processesIn } from '#testkit/measure/process-usage';
import { runGit } from '#testkit/repositories/run-git';
import { until } from '#testkit/until';

/** Time for a login that is to succeed, on a busy machine, and that others wait for. */
const LOGIN_MS = 2000;

/** A nonce is new in each conversation, so only git advertises it. */
async function leavePushesToGit(path: string): Promise<void> {
  await runGit(['-C', path, 'config', 'receive.certNonceSeed', 'seed']);
}

/** Returns the number of pushes that have ended. */
function pushesIn({ gitaly }: Awaited<ReturnType<typeof startGateway>>): number {
  return gitaly.log.filter((line) => line['grpc.method'] === 'SSHReceivePack').length;
}

test('a session has one command', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const channel = await openSession(client, 1 << 20, 32_768);
  const closed = once(channel, 'close');
  const output = text(channel);

  rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
  rawOf(client)._protocol.exec(channel.outgoing.id, "git-upload-archive 'a.git'", false);
  channel.end('0000');
  await closed;

  assert.match(await output, /^[0-9a-f]{44} HEAD\0/);
  assert.equal(opened.gitaly.log.filter((line) => line['grpc.method'] === 'SSHUploadArchive').length, 0);
});

test('the number of sessions on a connection is limited, and ended ones are released', async () => {
  await using opened = await startGateway({ limits: { maxSessions: 2 } });
  await using client = await logIn(opened.gateway);
  const [first] = [await client.exec(LIST), await client.exec(LIST)];

  await assert.rejects(client.exec(LIST), /open failure/);
  await ended(first, '0000');

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('a session without a command counts until the connection ends', async () => {
  await using opened = await startGateway({ limits: { maxSessions: 2 } });
  await using client = await logIn(opened.gateway);
  await using other = await logIn(opened.gateway);

  for (const channel of [await openSession(client, 10, 32_768), await openSession(client, 10, 32_768)])
    channel.close();

  await assert.rejects(client.exec(LIST), /open failure/);
  assert.equal((await ended(await other.exec(LIST), '0000')).code, 0);
});

for (const by of ['git', 'this process'])
  test(`a client that closes a channel without reading it ends a push to ${by}`, async () => {
    await using opened = await startGateway({ limits: { maxSessions: 1 } });
    const path = join(opened.gitaly.storagePath(), 'a.git');
    if (by === 'git') await leavePushesToGit(path);
    await using client = await logIn(opened.gateway);
    // Nothing, or a few bytes only, can be written to it.
    const channel = await openSession(client, by === 'git' ? 0 : 10, 32_768);
    rawOf(client)._protocol.exec(channel.outgoing.id, "git-receive-pack 'a.git'", false);
    const isRunning = () => (by === 'git' ? processesIn(path).length : channel.readableLength) > 0;
    await until(isRunning, 'the push runs');

    channel.close();

    const runs = async (): Promise<boolean> => {
      const next = await client.exec(LIST).catch(() => undefined);
      return next !== undefined && (await ended(next, '0000')).code === 0;
    };
    await until(runs, 'the session is over');
    await until(() => processesIn(path).length === 0, 'git has ended');
    await until(() => pushesIn(opened) === 1, 'the push has ended');
  });

test('a client that does not log in is disconnected', async () => {
  await using opened = await startGateway({ limits: { loginGraceMs: LOGIN_MS } });
  const [silent, slow, half] = [
    await dialGateway(opened.gateway),
    await dialGateway(opened.gateway),
    await dialGateway(opened.gateway),
  ];
  const writing = setInterval(() => slow.write('S'), 20);
  half.write('SSH-2.0-slow\r\n');

  await Promise.all([silent, slow, half].map((socket) => closed(socket.resume())));
  clearInterval(writing);

  await assertServes(opened.gateway);
});

test('a client that exchanges keys and does not log in is disconnected', async () => {
  await using opened = await startGateway({
    limits: { loginGraceMs: LOGIN_MS, keepAliveIntervalMs: 600_000 },
  });
  const client = new ssh2.Client();
  const disconnected = closed(client);
  // The method to try is never decided.
  const { host, port } = opened.gateway;
  client.connect({ host, port, username: 'git', authHandler: () => {}, readyTimeout: 0 });

  await disconnected;

  await assertServes(opened.gateway);
});

test('a client that has logged in stays longer than a login may take', async () => {
  const beyondMs = 2 * LOGIN_MS;
  await using opened = await startGateway({ limits: { loginGraceMs: LOGIN_MS } });
  await using client = await logIn(opened.gateway);

  await delay(beyondMs);

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('garbage on the port ends only that connection', async () => {
  await using opened = await startGateway();
  const garbage = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'SSH-1.5-old\r\n',
    'SSH-2.0-x\r\n'.concat('\xff'.repeat(4096)),
    'SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14'.concat('\0'.repeat(64)),
    'x'.repeat(100_000),
    'line\r\n'.repeat(5000),
  ];

  await Promise.all(
    garbage.map(async (bytes) => {
      const socket = await dialGateway(opened.gateway);
      socket.end(Buffer.from(bytes, 'latin1'));
      await closed(socket.resume());
    }),
  );

  await assertServes(opened.gateway);
  assert.deepEqual(opened.failures, []);
});

test('connections have a limit in total and by address', async () => {
  for (const limits of [{ maxConnections: 2 }, { maxConnectionsPerAddress: 2 }]) {
    await using opened = await startGateway({ limits });
    const sockets = [await dialGateway(opened.gateway), await dialGateway(opened.gateway)];

    const refused = await dialGateway(opened.gateway);
    assert.equal((await buffer(refused)).toString(), 'Too many connections. Try again later.\r\n');
    sockets[0]?.destroy();

    // The gateway notices the end of a connection a little later.
    await until(() =>
      assertServes(opened.gateway).then(
        () => true,
        () => false,
      ),
    );
    for (const socket of sockets) socket.destroy();
  }
});

test('an idle connection is closed', async () => {
  await using opened = await startGateway({
    limits: { idleTimeoutMs: LOGIN_MS, loginGraceMs: LOGIN_MS, keepAliveIntervalMs: 50 },
  });
  await using client = await logIn(opened.gateway);
  const closed = connectionClosed(client);
  const channel = await client.exec(LIST);
  channel.resume(); // git waits for the client's wants

  await closed;

  await until(
    () => opened.gitaly.log.some((line) => line['grpc.method'] === 'SSHUploadPackWithSidechannel'),
    'the call ended',
  );
});

test('a client that vanishes is detected', async () => {
  await using opened = await startGateway({ limits: { keepAliveIntervalMs: 50 } });
  await using client = await logIn(opened.gateway);
  const closed = connectionClosed(client);
  rawOf(client)._sock.write = () => true; // nothing is sent any more

  await closed;
});

test('a client that accepts only tiny packets is disconnected', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);

  for (const packetSize of [0, 1]) {
    const channel = await openSession(client, 1 << 20, packetSize);
    const closed = once(channel.resume(), 'close');
    rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
    await closed;
  }

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('both outputs arrive in full through a small window', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const channel = await openSession(client, 10, 32_768);
  const outputs = Promise.all([text(channel), text(channel.stderr)]);
  const grow = setInterval(() => windowGrows(client, channel, 7), 1);

  rawOf(client)._protocol.exec(channel.outgoing.id, "git-upload-archive 'a.git'", false);
  channel.end('0012argument none\n0000');
  const [stdout, stderr] = await outputs;
  clearInterval(grow);

  const whole = await ended(await client.exec("git-upload-archive 'a.git'"), '0012argument none\n0000');
  assert.deepEqual([stdout, stderr], [whole.stdout, whole.stderr]);
});

function windowGrows(client: Client, channel: { outgoing: { id: number } }, bytes: number): void {
  const protocol = rawOf(client)._protocol as unknown as {
    channelWindowAdjust(id: number, bytes: number): void;
  };
  if (!rawOf(client)._sock.destroyed) protocol.channelWindowAdjust(channel.outgoing.id, bytes);
}

test('a client that exceeds the window is disconnected', async () => {
  await using opened = await startGateway();
  await using client = await logIn(opened.gateway);
  const closed = connectionClosed(client);
  const channel = await openSession(client, 0, 32_768); // git cannot write, so it does not read
  rawOf(client)._protocol.exec(channel.outgoing.id, "git-receive-pack 'a.git'", false);

  const data = Buffer.alloc(32_000);
  for (let sent = 0; sent < 64 << 20 && !rawOf(client)._sock.destroyed; sent += data.length) {
    rawOf(client)._protocol.channelData(channel.outgoing.id, data);
    if (sent % (1 << 20) < data.length) await delay(1); // lets the socket send
  }

  await closed;
  await assertServes(opened.gateway);
});

test('a client that sends requests without reading is disconnected', async () => {
  await using opened = await startGateway({ limits: { maxSessions: 1 } }); // allows fewer unsent bytes
  await using client = await logIn(opened.gateway);
  const closed = connectionClosed(client);
  const { _protocol, _sock } = rawOf(client);
  _sock.pause();

  while (!_sock.destroyed) {
    // The server of this process reads only in between.
    if (_sock.writableLength < 64 << 10) for (let i = 0; i < 1000; i++) _protocol.ping();
    await delay(1); // lets the socket send
    _sock.pause();
  }

  await closed;
  await assertServes(opened.gateway);
});

test('a key exchange that does not end is aborted', async () => {
  await using opened = await startGateway({
    limits: { loginGraceMs: LOGIN_MS, keepAliveIntervalMs: 600_000 },
  });
  await using client = await logIn(opened.gateway);
  const closed = connectionClosed(client);
  const channel = await openSession(client, 0xffff_ffff, 32_768);
  channel.resume();
  rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
  rawOf(client)._protocol.rekey();
  rawOf(client)._sock.write = () => true; // its part of the exchange never arrives

  await closed;

  await assertServes(opened.gateway);
});

test('a command goes on after a key exchange, for longer than the exchange may take', async () => {
  const beyondMs = 2 * LOGIN_MS;
  await using opened = await startGateway({ limits: { loginGraceMs: LOGIN_MS } });
  await using client = await logIn(opened.gateway);
  const { _protocol, _sock } = rawOf(client);
  const path = join(opened.gitaly.storagePath(), 'a.git');
  await leavePushesToGit(path);
  const held: Uint8Array[] = [];
  const channel = await client.exec("git-receive-pack 'a.git'");
  _protocol.rekey();
  const { write } = _sock;
  _sock.write = (data: Uint8Array | string) => held.push(Buffer.from(data)) > 0; // its part is late
  await until(() => processesIn(path).length > 0, 'git writes meanwhile');

  _sock.write = write;
  for (const data of held) _sock.write(data);
  await until(() => channel.readableLength > 0, 'git has answered');
  await delay(beyondMs);

  assert.equal((await ended(channel, '0000')).code, 0);
});
