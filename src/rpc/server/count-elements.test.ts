import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { fc } from '#testkit/fast-check';
import { GetBlobsRequestSchema } from '#wire/gen/blob_pb';
import { ListCommitsByOidRequestSchema } from '#wire/gen/commit_pb';
import { countElements } from './count-elements.ts';

test('elements of lists and messages are counted, those in messages too', () => {
  const request = create(GetBlobsRequestSchema, {
    repository: { storageName: 'default', gitAlternateObjectDirectories: ['a', 'b', 'c'] },
    revisionPaths: [{ revision: 'main' }, {}, { path: Buffer.alloc(300) }],
    limit: -1n,
  });

  // The repository, its three directories, and three paths.
  assert.equal(countElements(GetBlobsRequestSchema, toBinary(GetBlobsRequestSchema, request), 100), 7);
});

test('counting stops above the limit', () => {
  const oid = Array.from({ length: 1000 }, () => '');
  const bytes = toBinary(ListCommitsByOidRequestSchema, create(ListCommitsByOidRequestSchema, { oid }));

  assert.equal(countElements(ListCommitsByOidRequestSchema, bytes, 5000), 1000);
  assert.equal(countElements(ListCommitsByOidRequestSchema, bytes, 10), 11);
});

// Field 2 is a list of messages. Bytes that are not skipped as a whole would count as its elements.
for (const [name, bytes, expected] of [
  ['varints', [0x78, 0x92, 0x92, 0x12, 0x12, 0], 1],
  ['varints of ten bytes', [0x78, ...Array(9).fill(0x92), 0x12, 0x12, 0], 1],
  ['longer varints, which end there', [0x78, ...Array(10).fill(0x92), 0x12, 0], 1],
  ['64 bits', [0x79, ...Array(8).fill(0x12), 0x12, 0], 1],
  ['32 bits', [0x7d, ...Array(4).fill(0x12), 0x12, 0], 1],
  ['texts', [0x7a, 6, ...Array(6).fill(0x12), 0x12, 0], 1],
  ['fields with long numbers', [0x92, 0x01, 2, 0x12, 0, 0x12, 0], 1],
  ['a group, which ends all', [0x12, 0, 0x7b, 0x12, 0], 1],
  ['a message that is cut off', [0x12, 9, 0x0a, 0], 1],
  ['a list that is cut off', [0x12, 0, 0x12], 2],
  ['a tag that is cut off', [0x12, 0, 0x92], 2],
  ['messages in messages', [0x0a, 4, 0x2a, 0, 0x2a, 0, 0x12, 0], 4],
] as const) {
  test(`${name} are skipped as a whole`, () => {
    assert.equal(countElements(GetBlobsRequestSchema, Uint8Array.from(bytes), 100), expected);
  });
}

test('any bytes are counted without an error, and in bounded time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      assert.ok(countElements(GetBlobsRequestSchema, bytes, 1000) <= bytes.length);
    }),
    { numRuns: 2000 },
  );
});
