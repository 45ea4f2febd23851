import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { packet } from './packet.ts';
import { PacketParser } from './packet-parser.ts';

function read(parser: PacketParser, ...chunks: readonly string[]): string[] {
  return chunks.flatMap((chunk) => [...parser.push(Buffer.from(chunk))].map(String));
}

test('packets are returned whole, wherever the input is split', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), fc.integer({ min: 1, max: 12 }), (texts, cut) => {
      const bytes = Buffer.concat(texts.map((text) => packet(text)));
      const parser = new PacketParser();
      const found: unknown[] = [];
      for (let at = 0; at < bytes.length; at += cut) found.push(...parser.push(bytes.subarray(at, at + cut)));

      assert.deepEqual(found, texts.map(Buffer.from));
      assert.ok(parser.isReadable && parser.isWhole);
    }),
  );
});

test('an incomplete packet is buffered, and the input is not whole', () => {
  const parser = new PacketParser();

  assert.deepEqual(read(parser, '0007a'), []);
  assert.equal(parser.isWhole, false);
  assert.deepEqual(read(parser, 'bc0000'), ['abc', 'flush']);
  assert.equal(parser.isWhole, true);
});

test('invalid bytes end the reading after the packets before them', () => {
  const parser = new PacketParser();

  assert.deepEqual(read(parser, '0005azzzz', '0005b'), ['a']);
  assert.equal(parser.isReadable, false);
});

test('a buffered packet does not change with the bytes it came from', () => {
  const parser = new PacketParser();
  const chunk = Buffer.from('0006a');
  for (const _ of parser.push(chunk)) assert.fail('no packet has ended');
  chunk.fill('x');

  assert.deepEqual(read(parser, 'b'), ['ab']);
});
