import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { packetAt, sizeOfPacket } from './packet.ts';
import { bandFraming, type Framing, PLAIN_FRAMING, writePackets } from './write-packets.ts';

async function written(chunks: readonly Buffer[], framing: Framing): Promise<Buffer> {
  const target = new PassThrough();
  const all = buffer(target);
  await new Promise<unknown>((done) => writePackets(target, chunks, framing, done));
  target.end();
  return await all;
}

test('each chunk is one packet, and an empty chunk is none', async () => {
  const chunks = ['one', '', 'three'].map((text) => Buffer.from(text));

  assert.equal(String(await written(chunks, PLAIN_FRAMING)), '0007one0009three');
  assert.equal(String(await written(chunks, bandFraming(2))), '0008\x02one000a\x02three');
  assert.equal(String(await written([Buffer.alloc(0)], PLAIN_FRAMING)), '');
});

for (const [name, framing] of [
  ['plain', PLAIN_FRAMING],
  ['side-band', bandFraming(1)],
] as const) {
  for (const [bytes, packets] of [
    [framing.maxDataBytes, [65_520]],
    [framing.maxDataBytes + 1, [65_520, 65_520 - framing.maxDataBytes + 1]],
    [2 * framing.maxDataBytes, [65_520, 65_520]],
  ] as const) {
    test(`${bytes} bytes are split into ${packets.length} ${name} packets`, async () => {
      const all = await written([Buffer.alloc(bytes, 'x')], framing);

      const sizes: number[] = [];
      for (let at = 0; at < all.length; at += sizes.at(-1) ?? 4) sizes.push(sizeOfPacket(read(all, at)));
      assert.deepEqual(sizes, packets);
    });
  }
}

function read(bytes: Buffer, at: number): Buffer {
  const found = packetAt(bytes, at);
  assert.ok(typeof found !== 'string', `no packet at ${at}`);
  return found;
}
