import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
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

test('any bytes are counted without an error, and in bounded time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      assert.ok(countElements(GetBlobsRequestSchema, bytes, 1000) <= bytes.length);
    }),
    { numRuns: 2000 },
  );
});
