import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { sessionPair, sessionWithRawPeer, settle } from '#testkit/clients/raw-yamux-peer';
import { readMagic, SIDECHANNEL_MAGIC } from './connection-magic.ts';
import { confirmSidechannel, openSidechannel, parseSidechannelId, readSidechannelId } from './sidechannel.ts';
import { SidechannelStream } from './sidechannel-stream.ts';
import { FLAG, FRAME_TYPE } from './yamux/frame.ts';

/** Opens both ends of a sidechannel over a session in memory. */
async function openPair() {
  const sessions = sessionPair({ streamCloseTimeoutMs: 1000 }, { acceptBacklog: 1 });
  const opened = openSidechannel(sessions.server, 5n);
  const stream = await sessions.client.accept();
  assert.ok(stream);
  assert.equal(await readMagic(stream, [SIDECHANNEL_MAGIC]), SIDECHANNEL_MAGIC);
  assert.equal(await readSidechannelId(stream), 5n);
  const client = await confirmSidechannel(stream);
  return { ...sessions, near: client, far: await opened };
}

/** Returns the server's end over a raw duplex. */
function serverEnd() {
  const [near, far] = duplexPair();
  return { server: new SidechannelStream(near, 'server'), far };
}

test('the handshake is the magic and a signed id, answered by ok', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });

  const opening = openSidechannel(session, 5n);
  await settle();
  const [, data] = peer.frames;
  assert.equal(data?.payload.toString('hex'), '7369646563 68616e6e656c 0000000000000005'.replaceAll(' ', ''));
  peer.data(2, 'ok', FLAG.ack);

  assert.ok((await opening) instanceof SidechannelStream);
});

test('both directions work concurrently, and each ends on its own', async () => {
  const { near, far, client } = await openPair();

  near.write('question');
  near.end();
  assert.equal(await text(far.iterator({ destroyOnReturn: false })), 'question');
  far.write('answer');
  far.end('.');

  assert.equal(await text(near), 'answer.');
  await settle();
  assert.equal(client.streamCount, 0);
  assert.equal(client.isEnded, false);
});

test('the server still writes after the client half closed, and reads while the client reads', async () => {
  const { near, far } = await openPair();
  const block = Buffer.alloc(70_000, 'abc');

  const echo = pipeline(far, far);
  const back = buffer(near);
  await pipeline(function* () {
    for (let count = 0; count < 100; count += 1) yield block;
  }, near);

  await echo;
  assert.ok((await back).equals(Buffer.concat(Array.from({ length: 100 }, () => block))));
});

test("the client's data is framed, at most 65516 bytes a packet, and the half close is 0000", async () => {
  const [near, far] = duplexPair();
  const client = new SidechannelStream(near, 'client');
  const received = buffer(far);

  client.write('hello');
  client.write(Buffer.alloc(65_517, 'x'));
  client.end();
  await once(client, 'finish');
  near.end();

  const expected = ['0009hello', 'fff0', 'x'.repeat(65_516), '0005x', '0000'].join('');
  assert.equal(String(await received), expected);
});

test('empty packets carry no data', async () => {
  const { server, far } = serverEnd();

  far.write('0006ab000400050006cd0000'.replace('0005', '0005-'));

  assert.equal(await text(server), 'ab-cd');
});

test('bytes after the half close are ignored', async () => {
  const { server, far } = serverEnd();

  far.write('0006ab0000zzzz');
  far.end('more');

  assert.equal(await text(server.iterator({ destroyOnReturn: false })), 'ab');
  assert.equal(server.destroyed, false);
});

for (const { name, input, message } of [
  { name: 'an end without half close', input: '0006ab', message: 'unexpected EOF' },
  { name: 'an end inside a packet', input: '0009ab', message: 'unexpected EOF' },
  {
    name: 'an end inside a length',
    input: '00',
    message: 'pktLineSplitter: incomplete length prefix on "00"',
  },
  { name: 'a delimiter packet', input: '0001', message: 'sidechannel: invalid header 1' },
  { name: 'a response end packet', input: '0002', message: 'sidechannel: invalid header 2' },
  { name: 'length 3', input: '0003', message: 'sidechannel: invalid header 3' },
  { name: 'a packet that is too large', input: 'ffff', message: 'pktLineSplitter: invalid length: 65535' },
]) {
  test(`${name} fails the server's reader, and leaves the other direction open`, async () => {
    const { server, far } = serverEnd();

    far.end(input);

    await assert.rejects(text(server.iterator({ destroyOnReturn: false })), { message });
    server.end('answer');
    assert.equal(await text(far), 'answer');
  });
}

test('a slow reader slows the writer', async () => {
  const { near, far } = await openPair();
  let writtenBytes = 0;

  const writing = pipeline(function* () {
    for (; writtenBytes < 10_000_000; writtenBytes += 60_000) yield Buffer.alloc(60_000);
  }, near);
  await settle();
  assert.ok(writtenBytes < 1_500_000, `${writtenBytes} bytes are under way and nobody reads`);

  assert.equal((await buffer(far)).length, 10_020_000);
  await writing;
});

test('payload passes both ends without copies', async () => {
  const { near, far } = await openPair();
  const [up, down] = [Buffer.alloc(50_000, 'u'), Buffer.alloc(50_000, 'd')];

  near.write(up);
  far.write(down);

  assert.equal((await once(far, 'data'))[0].buffer, up.buffer);
  assert.equal((await once(near, 'data'))[0].buffer, down.buffer);
});

test("a client that disconnects fails the server's stream, and the connection stays open", async () => {
  const { near, far, server } = await openPair();
  const failed = once(far, 'error');

  near.write('half');
  near.destroy();

  assert.match((await failed)[0].message, /unexpected EOF|connection reset/);
  await settle();
  assert.equal(server.isEnded, false);
  assert.ok((await server.ping()) >= 0);
});

test('a client that ends the stream right after the handshake is detected', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });
  const opening = openSidechannel(session, 5n);
  await settle();

  peer.data(2, 'ok', FLAG.ack);
  peer.frame(FRAME_TYPE.windowUpdate, FLAG.fin, 2, 0);

  await assert.rejects(buffer(await opening), { message: 'unexpected EOF' });
});

test('destroy after everything was written lets the client read all of it', async () => {
  const { near, far } = await openPair();

  await new Promise((resolve) => far.write(Buffer.alloc(200_000), resolve));
  far.destroy(new Error('the command failed'));

  assert.equal((await buffer(near)).length, 200_000);
});

test('destroy during a write is an error for the client', async () => {
  const { near, far } = await openPair();

  far.write(Buffer.alloc(600_000));
  await settle();
  far.destroy();

  await assert.rejects(buffer(near), /connection reset/);
});

test('a stream that was abandoned ends during a write, without an error for the client', async () => {
  const { near, far } = await openPair();

  far.write(Buffer.alloc(600_000));
  await settle();
  far.abandon();
  far.destroy(new Error('context canceled'));

  assert.ok((await buffer(near)).length < 600_000);
});

test('without ids there is no sidechannel; the last of several ids is used', () => {
  assert.throws(() => parseSidechannelId([]), {
    message: 'sidechannel: sidechannel-id not found in incoming metadata',
    isRetryable: false,
  });
  assert.equal(parseSidechannelId(['1', '22']), 22n);
  assert.equal(parseSidechannelId(['-7']), -7n);
  assert.equal(parseSidechannelId(['abc']), 0n);
  assert.equal(parseSidechannelId(['']), 0n);
  assert.equal(parseSidechannelId(['9223372036854775808']), 9223372036854775807n);
});

test('a plain connection has no sidechannels', async () => {
  await assert.rejects(openSidechannel(undefined, 1n), {
    message: 'sidechannel: fail to extract mux session: non-multiplexed connection',
    isRetryable: false,
  });
});

for (const { name, answer, message, isRetryable } of [
  {
    name: 'another answer than ok',
    answer: 'no',
    message: 'sidechannel: expected ok, got "no"',
    isRetryable: false,
  },
  { name: 'an end', answer: '', message: 'sidechannel: receive confirmation: EOF', isRetryable: true },
  {
    name: 'half an answer',
    answer: 'o',
    message: 'sidechannel: receive confirmation: unexpected EOF',
    isRetryable: true,
  },
]) {
  test(`${name} fails the handshake`, async () => {
    const { session, peer } = sessionWithRawPeer({ role: 'server' });

    const opening = openSidechannel(session, 1n);
    peer.frame(FRAME_TYPE.windowUpdate, FLAG.ack, 2, 0);
    await settle();
    peer.data(2, answer, FLAG.fin);

    await assert.rejects(opening, { name: 'SidechannelError', message, isRetryable });
  });
}

test('a reset fails the handshake with a retryable error', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });

  const opening = openSidechannel(session, 1n);
  await settle();
  peer.frame(FRAME_TYPE.windowUpdate, FLAG.rst, 2, 0);

  await assert.rejects(opening, {
    message: 'sidechannel: receive confirmation: connection reset',
    isRetryable: true,
  });
});

test('a closed session fails the handshake with a retryable error', async () => {
  const { server } = sessionPair();
  server.destroy();

  await assert.rejects(openSidechannel(server, 1n), {
    message: 'sidechannel: open stream: session shutdown',
    isRetryable: true,
  });
});

test('a client that does not answer in time fails the handshake and not the connection', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });

  await assert.rejects(openSidechannel(session, 1n, { timeoutMs: 5 }), {
    message: 'sidechannel: receive confirmation: i/o deadline reached',
    isRetryable: true,
  });

  await settle();
  assert.match(peer.take().at(-1) ?? '', /FIN/);
  assert.equal(session.isEnded, false);
});

test('a client whose backlog stays full fails the handshake', async () => {
  const { session } = sessionWithRawPeer({ role: 'server', acceptBacklog: 1 });
  await session.open();

  await assert.rejects(openSidechannel(session, 1n, { timeoutMs: 5 }), {
    message: 'sidechannel: open stream: i/o deadline reached',
  });
});

test('two sidechannels of one connection with backlog 1 are set up one after the other', async () => {
  const { client, server } = sessionPair({}, { acceptBacklog: 1 });
  const serving = (async () => {
    for (let count = 0; count < 2; count += 1) {
      const stream = await client.accept();
      assert.ok(stream);
      await readMagic(stream, [SIDECHANNEL_MAGIC]);
      const id = await readSidechannelId(stream);
      (await confirmSidechannel(stream)).end(`for ${id}`);
    }
  })();

  const opened = await Promise.all([openSidechannel(server, 1n), openSidechannel(server, 2n)]);
  await serving;

  assert.deepEqual(await Promise.all(opened.map((stream) => text(stream))), ['for 1', 'for 2']);
});

test('a missing id is an error of the client', async () => {
  const [near, far] = duplexPair();
  far.end('abc');

  await assert.rejects(readSidechannelId(near), {
    message: 'sidechannel: fail to extract sidechannel ID: unexpected EOF',
  });
});
