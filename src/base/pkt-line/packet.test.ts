import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import {
  FLUSH_PACKET,
  MAX_PACKET_BYTES,
  packet,
  packetAt,
  packetHeader,
  packetLength,
  sizeOfPacket,
  textPacket,
} from './packet.ts';

test('the header counts its own four digits', () => {
  assert.equal(String(packetHeader(0)), '0004');
  assert.equal(String(packetHeader(5)), '0009');
  assert.equal(String(packetHeader(65_516)), 'fff0');
});

test('text is written as UTF-8 or byte by byte', () => {
  assert.deepEqual(textPacket('ä\n'), Buffer.from('0007\xc3\xa4\n', 'latin1'));
  assert.deepEqual(textPacket('ä\n', 'latin1'), Buffer.from('0006\xe4\n', 'latin1'));
});

test('a written packet can be read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5), (payload, at) => {
      const bytes = Buffer.concat([Buffer.alloc(at), packet(payload), FLUSH_PACKET]);

      const read = packetAt(bytes, at);

      assert.deepEqual(read, Buffer.from(payload));
      assert.equal(packetAt(bytes, at + sizeOfPacket(read)), 'flush');
    }),
  );
});

test('digits are read in either case, and only valid lengths are accepted', () => {
  for (let length = 0; length <= 0xffff; length += 251) {
    const digits = length.toString(16).padStart(4, '0');
    const expected = length > MAX_PACKET_BYTES ? undefined : length;
    assert.equal(packetLength(Buffer.from(digits), 0), expected);
    assert.equal(packetLength(Buffer.from(digits.toUpperCase()), 0), expected);
  }
  for (const digits of ['fff1', '-001', '+010', '00 5', '000g', '000\x00', '000`', '000:', '000@'])
    assert.equal(packetLength(Buffer.from(digits), 0), undefined);
});

for (const [bytes, expected] of [
  ['', 'incomplete'],
  ['000', 'incomplete'],
  ['0006a', 'incomplete'],
  ['0000', 'flush'],
  ['0001', 'delimiter'],
  ['0002', 'response-end'],
  ['0003', 'reserved'],
  ['00zz', 'invalid'],
  ['fff1', 'invalid'],
] as const) {
  test(`${JSON.stringify(bytes)} reads as ${expected}`, () => {
    assert.equal(packetAt(Buffer.from(bytes), 0), expected);
  });
}

test('packets without payload take up four bytes', () => {
  assert.equal(sizeOfPacket('delimiter'), 4);
  assert.equal(sizeOfPacket(Buffer.from('abc')), 7);
});
