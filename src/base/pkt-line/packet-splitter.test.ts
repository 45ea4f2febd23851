import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { packetHeader } from './packet.ts';
import { PacketSplitter } from './packet-splitter.ts';

/** Returns packets as `length:payload`; ends the input. */
function split(chunks: readonly Buffer[]): string[] {
  const packets: string[] = [];
  const splitter = new PacketSplitter({
    packet: (length) => {
      packets.push(`${length}:`);
      return length !== 0;
    },
    payload: (piece) => {
      packets.push(`${packets.pop()}${piece.toString('latin1')}`);
    },
  });
  for (const chunk of chunks) splitter.write(chunk);
  splitter.end();
  return packets;
}

test('packets are found wherever the input is split, and bytes after the stop are ignored', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40 }), { maxLength: 10 }), fc.nat(12), (texts, cut) => {
      const payloads = texts.map((text) => Buffer.from(text));
      const packets = payloads.map((payload) => Buffer.concat([packetHeader(payload.length), payload]));
      const bytes = Buffer.concat([...packets, Buffer.from('0000zzzz')]);
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += cut + 1) chunks.push(bytes.subarray(at, at + cut + 1));

      assert.deepEqual(split(chunks), [
        ...payloads.map((payload) => `${payload.length + 4}:${payload.toString('latin1')}`),
        '0:',
      ]);
    }),
    { numRuns: 300 },
  );
});

test('the largest packet is read', () => {
  assert.equal(split([Buffer.from('fff0'), Buffer.alloc(65_516, 'x')])[0]?.length, '65520:'.length + 65_516);
});

test('a write returns how many bytes were read, and 0 after the stop', () => {
  const splitter = new PacketSplitter({ packet: (length) => length !== 0, payload: () => {} });

  assert.equal(splitter.write(Buffer.from('0005a00')), 7);
  assert.equal(splitter.write(Buffer.from('000006xy')), 2);
  assert.equal(splitter.write(Buffer.from('0005b')), 0);
});

test('a length with a plus sign is read, as in Gitaly', () => {
  assert.deepEqual(split([Buffer.from('+005x0000')]), ['5:x', '0:']);
});

for (const [input, error] of [
  ['fff1', /^Error: pktLineSplitter: invalid length: 65521$/],
  ['-001', /^Error: pktLineSplitter: invalid length: -1$/],
  ['00zz', /^Error: pktLineSplitter: decode length: strconv.ParseInt: parsing "00zz": invalid syntax$/],
  ['00', /^Error: pktLineSplitter: incomplete length prefix on "00"$/],
  ['0009abc', /^Error: unexpected EOF$/],
] as const) {
  test(`${JSON.stringify(input)} is not a sequence of packets`, () => {
    assert.throws(() => split([Buffer.from(input)]), error);
  });
}
