import assert from 'node:assert/strict';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { chainOf, openArchiveBucket, transferMs, uploadPackFile } from './archive-bucket.ts';

test('a pack of any size is uploaded', async () => {
  const directory = makeScratchDirectory('archive-bucket');
  const { signal } = new AbortController();
  const bucket = await openArchiveBucket(`file://${directory}/bucket`, { signal });
  const path = join(directory, 'pack');
  const sizeBytes = 16 * 2 ** 20 + 1;
  writeFileSync(path, 'PACK');
  truncateSync(path, sizeBytes);
  const checksum = 'ab'.repeat(32);
  const file = { path, sizeBytes, checksum, [Symbol.asyncDispose]: async () => {} };

  const chain = chainOf(bucket, '0123456789abcdef0123456789abcdef');
  const name = await uploadPackFile(bucket, chain, file);

  const key = chain.options.keys.pack(name);
  assert.equal(statSync(join(directory, 'bucket', key)).size, sizeBytes);
});

test('the time of a transfer is one that timers accept', () => {
  assert.equal(transferMs(0), 60_000);
  assert.equal(transferMs(100 * 2 ** 20), 400_000);
  for (const sizeBytes of [16 * 2 ** 20 + 1, 2 ** 30 + 7, 2 ** 40, 2 ** 50 + 1]) {
    const ms = transferMs(sizeBytes);
    assert.ok(Number.isSafeInteger(ms) && ms < 2 ** 31, `${ms} ms`);
  }
});
