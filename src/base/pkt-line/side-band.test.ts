import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { BAND, bandPacket, readSideBand, sideBandWriter } from './side-band.ts';

async function read(bytes: Buffer, chunkBytes = bytes.length): Promise<[number, string][]> {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes));
  const found: [number, string][] = [];
  for await (const { band, data } of readSideBand(Readable.from(chunks)))
    found.push([band, data.toString('latin1')]);
  return found;
}

test('two bands share a stream packet by packet', async () => {
  const target = new PassThrough();
  const [stdout, stderr] = [sideBandWriter(target, BAND.stdout), sideBandWriter(target, BAND.stderr)];

  stdout.write('out');
  stderr.write('err');
  stdout.end('more');
  stderr.end();
  await new Promise(setImmediate);
  target.end();

  assert.equal(String(await buffer(target)), '0008\x01out0008\x02err0009\x01more');
});

test('queued writes are sent together, one packet each', async () => {
  const target = new PassThrough();
  const band = sideBandWriter(target, BAND.stdout);

  band.cork();
  band.write('one');
  band.write('three');
  band.uncork();
  await new Promise(setImmediate);
  target.end();

  assert.equal(String(await buffer(target)), '0008\x01one000a\x01three');
});

test('a packet of a band is parsed into its original data', async () => {
  const packets = [bandPacket(BAND.stderr, Buffer.from('err')), bandPacket(3, Buffer.from('fatal'))];

  assert.deepEqual(await read(Buffer.concat(packets)), [
    [2, 'err'],
    [3, 'fatal'],
  ]);
});

test('large writes are split at 65515 bytes and not copied', async () => {
  const target = new PassThrough({ highWaterMark: 1 << 20 });
  const chunk = Buffer.alloc(65_515 + 10, 'x');

  sideBandWriter(target, BAND.stdout).write(chunk);
  const pieces: Buffer[] = [];
  for (let piece = target.read(5); piece !== null; piece = target.read(5)) {
    pieces.push(piece);
    const data: Buffer = target.read(Number.parseInt(piece.toString('latin1', 0, 4), 16) - 5);
    assert.equal(data.buffer, chunk.buffer);
  }

  assert.deepEqual(pieces.map(String), ['fff0\x01', '000f\x01']);
});

test('a band waits while its target is full', async () => {
  const target = new PassThrough({ highWaterMark: 100 });
  const band = sideBandWriter(target, BAND.stdout);
  let isDone = false;

  band.write(Buffer.alloc(1000), () => {
    isDone = true;
  });
  band.write(Buffer.alloc(100_000));
  await new Promise(setImmediate);

  assert.equal(isDone, false);
  target.resume();
  await new Promise(setImmediate);
  assert.equal(isDone, true);
});

for (const chunkBytes of [1, 3, 7, 100]) {
  test(`packets are read from chunks of ${chunkBytes}`, async () => {
    const pieces = await read(Buffer.from('0008\x01out0005\x020008\x02err'), chunkBytes);

    const joined: Record<number, string> = {};
    for (const [band, data] of pieces) joined[band] = (joined[band] ?? '') + data;
    assert.deepEqual(joined, { 1: 'out', 2: 'err' });
  });
}

for (const [input, message] of [
  ['0004', 'invalid sideband packet: "0004"'],
  ['0000', 'invalid sideband packet: "0000"'],
  ['0009\x01ab', 'unexpected EOF'],
] as const) {
  test(`${JSON.stringify(input)} fails after the packets before it`, async () => {
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of readSideBand(Readable.from([Buffer.from(`0008\x01out${input}`)])))
        seen.push(String(data));
    })();

    await assert.rejects(reading, { message });
    assert.equal(seen[0], 'out');
  });
}

// A client that was killed during a fetch ended the whole server.
test('a closed target fails the write without an unhandled error', async () => {
  const target = new PassThrough();
  target.on('error', () => {});
  const band = sideBandWriter(target, BAND.stdout);
  target.destroy();

  const failure = await new Promise((resolve) => band.write('late', resolve));
  await new Promise(setImmediate);

  assert.ok(failure instanceof Error);
  assert.equal(band.destroyed, true);
});
