import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { until } from '#testkit/until';
import { AuthorityRewriter } from './authority-rewriter.ts';
import { FrameScanner, headerBlock } from './frame-scanner.ts';

/** Time limit of what takes some milliseconds. */
const WITHIN_MS = 5000;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(type: number, flags: number, payload: Uint8Array): Buffer {
  const header = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, 1]);
  header.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
}

/** A request to an authority, with or without priority and padding. */
function request(authority: string, { isPadded = false, hasPriority = false } = {}): Buffer {
  const block = Buffer.concat([Buffer.from([0x83, 1, authority.length]), Buffer.from(authority)]);
  const before = [...(isPadded ? [3] : []), ...(hasPriority ? [0, 0, 0, 0, 9] : [])];
  const payload = Buffer.concat([Buffer.from(before), block, Buffer.alloc(isPadded ? 3 : 0)]);
  return frame(1, 4 | (isPadded ? 0x8 : 0) | (hasPriority ? 0x20 : 0), payload);
}

function rewriter() {
  const [client, connection] = duplexPair();
  client.on('error', () => {});
  return { client, connection, rewritten: new AuthorityRewriter(connection) };
}

for (const size of [1, 7, 1000]) {
  test(`authorities are replaced in pieces of ${size}, and nothing else is`, async () => {
    const { client, rewritten } = rewriter();
    const data = frame(0, 0, Buffer.from('/a/b'));
    const sent = Buffer.concat([
      PREFACE,
      frame(4, 0, Buffer.alloc(0)),
      request('/a/b'),
      data,
      request('/a/b', { isPadded: true }),
      request('/a/b', { hasPriority: true }),
      request('/a/b', { isPadded: true, hasPriority: true }),
    ]);
    for (let at = 0; at < sent.length; at += size) client.write(sent.subarray(at, at + size));
    client.end();

    const bytes = await buffer(rewritten);

    assert.equal(bytes.length, sent.length);
    const parts = bytes.toString('latin1').split('xxxx');
    assert.equal(parts.length, 5);
    assert.equal(parts.join('/a/b'), sent.toString('latin1').replaceAll('\x01\x04xxxx', '\x01\x04/a/b'));
    assert.ok(bytes.includes(data));
  });
}

test('the block of a request is what is neither priority nor padding', () => {
  for (const isPadded of [false, true]) {
    for (const hasPriority of [false, true]) {
      const [found] = new FrameScanner().add(request('x', { isPadded, hasPriority }));
      assert.ok(found !== undefined);
      assert.equal(headerBlock(found).toString('hex'), '83010178');
    }
  }
  // Padding that is longer than the frame leaves nothing.
  assert.equal(headerBlock({ type: 1, flags: 0x8, bytes: frame(1, 0x8, Buffer.of(9, 1)) }).length, 0);
});

test('frames are cut wherever their bytes are split, and 16 KiB is the limit', () => {
  const [one, other] = [frame(0, 1, Buffer.alloc(16_384)), frame(6, 0, Buffer.from('pingpong'))];
  const scanner = new FrameScanner();

  assert.deepEqual(scanner.add(one.subarray(0, 8)), []);
  assert.deepEqual(scanner.add(one.subarray(8, 100)), []);
  assert.deepEqual(scanner.pending, one.subarray(0, 100));
  const frames = scanner.add(Buffer.concat([one.subarray(100), other, other.subarray(0, 3)]));
  assert.deepEqual(frames, [
    { type: 0, flags: 1, bytes: one },
    { type: 6, flags: 0, bytes: other },
  ]);
  assert.deepEqual(scanner.pending, other.subarray(0, 3));
  assert.throws(() => new FrameScanner().add(Buffer.from('004001000000000000', 'hex')), /16385 bytes/);
});

test('after a frame that makes no sense all bytes are passed on as they are', async () => {
  const { client, rewritten } = rewriter();
  const [start, nonsense] = [Buffer.concat([PREFACE, request('/a')]), Buffer.from('ffffff0000000000', 'hex')];
  client.write(start);
  client.write(nonsense);
  client.write(Buffer.concat([Buffer.of(0), request('/b')]));
  client.end(request('/c'));

  const bytes = await buffer(rewritten);

  assert.deepEqual(
    bytes.subarray(start.length),
    Buffer.concat([nonsense, Buffer.of(0), request('/b'), request('/c')]),
  );
});

test('what is written reaches the client, one by one and together, and its end too', async () => {
  const { client, rewritten } = rewriter();
  const received = text(client);

  await new Promise((resolve) => rewritten.write('a', resolve));
  rewritten.cork();
  for (const piece of ['b', 'c', 'd']) rewritten.write(piece);
  rewritten.uncork();
  rewritten.end('e');

  assert.equal(await received, 'abcde');
});

test('a client that sends faster than it is read has to wait', async () => {
  const { client, connection, rewritten } = rewriter();
  client.write(PREFACE);
  let isWritten = false;
  const bytes = Buffer.concat(Array.from({ length: 30 }, () => frame(0, 0, Buffer.alloc(16_384))));
  client.write(bytes, () => {
    isWritten = true;
  });
  client.write(bytes);
  await settle();

  assert.equal(connection.isPaused(), true);
  assert.ok(rewritten.readableLength < 2 * bytes.length);
  client.end();
  assert.equal((await buffer(rewritten)).length, PREFACE.length + 2 * bytes.length);
  assert.equal(isWritten, true);
});

for (const [name, end] of [
  ['fails', (connection: Duplex) => connection.destroy(new Error('reset'))],
  ['closes', (connection: Duplex) => connection.destroy()],
] as const) {
  test(`a connection that ${name} ends what is read of it`, async () => {
    const { connection, rewritten } = rewriter();

    end(connection);
    await new Promise((resolve) => rewritten.once('close', resolve));

    assert.equal(rewritten.errored?.message, name === 'fails' ? 'reset' : undefined);
  });
}

test('whoever destroys it destroys the connection, with the same error', async () => {
  const { connection, rewritten } = rewriter();
  const failed = once(connection, 'error');

  rewritten.destroy(new Error('over'));

  const [error] = await failed;
  assert.deepEqual([error.message, connection.destroyed], ['over', true]);
});

/** A header of 4,000 bytes, which is added to the table, and blocks whose every byte refers to it. */
const FIELD = Buffer.concat([Buffer.of(0x40, 1, 0x78, 127, 0xa1, 0x1e), Buffer.alloc(4000, 'a')]);
const ADDING = frame(1, 4, FIELD);
const expanding = (pairs: number): Buffer => frame(1, 4, Buffer.alloc(pairs, 0xbe));

for (const [name, tooLarge, within] of [
  ['lists of more than 144 KiB', expanding(37), expanding(36)],
  [
    'lists of more than 1000 pairs',
    frame(1, 4, Buffer.alloc(1001, 0x82)),
    frame(1, 4, Buffer.alloc(1000, 0x82)),
  ],
  [
    'lists that go on in other frames',
    Buffer.concat([frame(1, 0, Buffer.alloc(30, 0xbe)), frame(9, 4, Buffer.alloc(7, 0xbe))]),
    Buffer.concat([frame(1, 0, Buffer.alloc(30, 0xbe)), frame(9, 4, Buffer.alloc(6, 0xbe))]),
  ],
] as const) {
  test(`a client that sends ${name} again and again is disconnected`, async () => {
    const { client, connection, rewritten } = rewriter();
    rewritten.resume();
    let error: Error | undefined;
    rewritten.once('error', (reason) => {
      error = reason;
    });
    const received: Buffer[] = [];
    client.on('data', (chunk: Buffer) => received.push(chunk));
    client.write(Buffer.concat([PREFACE, ADDING, ...Array.from({ length: 20 }, () => within)]));
    client.write(Buffer.concat(Array.from({ length: 4 }, () => tooLarge)));
    await settle();
    assert.equal(connection.destroyed, false);

    client.write(tooLarge);

    await until(() => error !== undefined, 'the error for too large headers', WITHIN_MS);
    assert.equal(error?.message, 'the client has sent too large headers');
    assert.equal(connection.destroyed, true);
    const [goAway] = new FrameScanner().add(Buffer.concat(received));
    assert.deepEqual([goAway?.type, goAway?.bytes.readUInt32BE(13)], [7, 11]); // ENHANCE_YOUR_CALM
  });
}
