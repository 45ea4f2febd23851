import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponseBlocks } from './response-blocks.ts';

const LIMITS = { maxListBytes: 10_000, maxPairs: 100 };

test('equal blocks are decoded once, and many different ones are not kept', () => {
  const blocks = new ResponseBlocks(LIMITS);
  const first = blocks.read(Buffer.from([0x88]));
  assert.equal(blocks.read(Buffer.from([0x88])), first);

  for (let at = 0; at < 300; at++) {
    const value = String(at);
    const block = blocks.read(
      Buffer.from(`\x88\x00\x01a${String.fromCharCode(value.length)}${value}`, 'latin1'),
    );
    assert.deepEqual(block, { kind: 'headers', pairs: [':status', '200', 'a', value] });
  }
  assert.notEqual(blocks.read(Buffer.from([0x88])), first);
});

test('a long block is decoded each time', () => {
  const blocks = new ResponseBlocks(LIMITS);
  const long = Buffer.concat([Buffer.from([0x88, 0, 1, 0x61, 0x7f, 0xf9, 0x03]), Buffer.alloc(632, 'x')]);

  const [first, second] = [blocks.read(long), blocks.read(long)];

  assert.deepEqual(first, { kind: 'headers', pairs: [':status', '200', 'a', 'x'.repeat(632)] });
  assert.deepEqual(second, first);
  assert.notEqual(second, first);
});
