import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { decompress, parseEncoding } from './grpc-compression.ts';

test('gzip and identity are known, nothing else', () => {
  assert.equal(parseEncoding(undefined), 'identity');
  assert.equal(parseEncoding('identity'), 'identity');
  assert.equal(parseEncoding('gzip'), 'gzip');
  assert.equal(parseEncoding('zstd'), undefined);
});

test('a message is unpacked up to exactly the limit', () => {
  const packed = gzipSync(Buffer.alloc(100, 1));

  assert.deepEqual(decompress(packed, 'gzip', 100), Buffer.alloc(100, 1));
  assert.throws(() => decompress(packed, 'gzip', 99), { code: 'RESOURCE_EXHAUSTED' });
});

test('a message that is not gzip is an internal error', () => {
  assert.throws(() => decompress(Buffer.from('plain'), 'gzip', 100), { code: 'INTERNAL' });
  assert.throws(() => decompress(Buffer.from('plain'), 'identity', 100), { code: 'INTERNAL' });
});
