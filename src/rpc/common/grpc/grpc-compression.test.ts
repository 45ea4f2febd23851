import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { decompress, parseEncoding } from './grpc-compression.ts';

test('only gzip and identity are supported', () => {
  assert.equal(parseEncoding(undefined), 'identity');
  assert.equal(parseEncoding('identity'), 'identity');
  assert.equal(parseEncoding('gzip'), 'gzip');
  assert.equal(parseEncoding('zstd'), undefined);
});

test('a message is decompressed up to exactly the limit', async () => {
  const packed = gzipSync(Buffer.alloc(100, 1));

  assert.deepEqual(await decompress(packed, 'gzip', 100), Buffer.alloc(100, 1));
  await assert.rejects(decompress(packed, 'gzip', 99), { code: 'RESOURCE_EXHAUSTED' });
});

test('a message that is not gzip is an internal error', async () => {
  await assert.rejects(decompress(Buffer.from('plain'), 'gzip', 100), { code: 'INTERNAL' });
  await assert.rejects(decompress(Buffer.from('plain'), 'identity', 100), { code: 'INTERNAL' });
});
