import assert from 'node:assert/strict';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  assertServes,
  type Client,
  connectionClosed,
  dialDoor,
  ended,
  LIST,
  logIn,
  openDoor,
  openSession,
  rawOf,
  socketClosed,
} from '#testkit/ssh-door-fixture';
import { until } from '#testkit/until';

test('a session has one command', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
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

test('sessions on one connection have a limit, and come free again', async () => {
  await using opened = await openDoor({ limits: { maxSessions: 2 } });
  await using client = await logIn(opened.door);
  const [first] = [await client.exec(LIST), await client.exec(LIST)];

  await assert.rejects(client.exec(LIST), /open failure/);
  await ended(first, '0000');

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('who does not log in is not waited for', async () => {
  await using opened = await openDoor({ limits: { loginGraceMs: 200 } });
  const [silent, slow, half] = [await dialDoor(opened.door), await dialDoor(opened.door), await dialDoor(opened.door)];
  const writing = setInterval(() => slow.write('S'), 20);
  half.write('SSH-2.0-slow\r\n');

  await Promise.all([silent, slow, half].map(socketClosed));
  clearInterval(writing);

  await assertServes(opened.door);
});

test('garbage on the port ends that connection alone', async () => {
  await using opened = await openDoor();
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
      const socket = await dialDoor(opened.door);
      socket.end(Buffer.from(bytes, 'latin1'));
      await socketClosed(socket);
    }),
  );

  await assertServes(opened.door);
  assert.deepEqual(opened.failures, []);
});

test('connections have a limit in total and by address', async () => {
  for (const limits of [{ maxConnections: 2 }, { maxConnectionsPerAddress: 2 }]) {
    await using opened = await openDoor({ limits });
    const sockets = [await dialDoor(opened.door), await dialDoor(opened.door)];

    const refused = await dialDoor(opened.door);
    assert.equal((await buffer(refused)).toString(), 'Too many connections. Try again later.\r\n');
    sockets[0]?.destroy();
    await delay(50);

    await assertServes(opened.door);
    for (const socket of sockets) socket.destroy();
  }
});

test('a connection over which nothing moves is cut', async () => {
  await using opened = await openDoor({ limits: { idleTimeoutMs: 300, loginGraceMs: 300, keepAliveIntervalMs: 50 } });
  await using client = await logIn(opened.door);
  const closed = connectionClosed(client);
  const channel = await client.exec(LIST);
  channel.resume(); // git waits for what the client wants

  await closed;

  await until(() => opened.gitaly.log.some((line) => line['grpc.method'] === 'SSHUploadPackWithSidechannel'), 'the call ended');
});

test('a client that is gone without a word is noticed', async () => {
  await using opened = await openDoor({ limits: { keepAliveIntervalMs: 50 } });
  await using client = await logIn(opened.door);
  const closed = connectionClosed(client);
  rawOf(client)._sock.write = () => true; // nothing leaves it any more

  await closed;
});

test('a client that takes no packets worth the name gets none', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);

  for (const packetSize of [0, 1]) {
    const channel = await openSession(client, 1 << 20, packetSize);
    const closed = once(channel.resume(), 'close');
    rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
    await closed;
  }

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('both outputs arrive whole through a small window', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
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
  const protocol = rawOf(client)._protocol as unknown as { channelWindowAdjust(id: number, bytes: number): void };
  if (!rawOf(client)._sock.destroyed) protocol.channelWindowAdjust(channel.outgoing.id, bytes);
}

test('a client that sends more than the window is cut', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
  const closed = connectionClosed(client);
  const channel = await openSession(client, 0, 32_768); // git cannot answer, so it does not read
  rawOf(client)._protocol.exec(channel.outgoing.id, "git-receive-pack 'a.git'", false);

  const data = Buffer.alloc(32_000);
  for (let sent = 0; sent < 64 << 20 && !rawOf(client)._sock.destroyed; sent += data.length) {
    rawOf(client)._protocol.channelData(channel.outgoing.id, data);
    if (sent % (1 << 20) < data.length) await delay(1);
  }

  await closed;
  await assertServes(opened.door);
});

test('a client that asks and asks and does not listen is cut', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
  const closed = connectionClosed(client);
  rawOf(client)._sock.pause();

  while (!rawOf(client)._sock.destroyed) {
    for (let i = 0; i < 10_000; i++) rawOf(client)._protocol.ping();
    await delay(1);
    rawOf(client)._sock.pause();
  }

  await closed;
  await assertServes(opened.door);
});

test('an exchange of keys that does not end is not waited for', async () => {
  await using opened = await openDoor({ limits: { loginGraceMs: 500 } });
  await using client = await logIn(opened.door);
  const closed = connectionClosed(client);
  const channel = await openSession(client, 0xffff_ffff, 32_768);
  channel.resume();
  rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
  rawOf(client)._protocol.rekey();
  rawOf(client)._sock.write = () => true; // its part of the exchange never comes

  await closed;

  await assertServes(opened.door);
});
