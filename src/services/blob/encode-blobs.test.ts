import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { fc } from '#testkit/fast-check';
import { ListBlobsResponse_BlobSchema, ListBlobsResponseSchema } from '#wire/gen/blob_pb';
import { encodeBlobs, itemBytes } from './encode-blobs.ts';

test('blobs are encoded as protobuf encodes them', () => {
  const item = fc.record({
    oid: fc.constantFrom('', 'a'.repeat(40), 'b'.repeat(64)),
    size: fc.oneof(
      fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 40 + 12_345, Number.MAX_SAFE_INTEGER),
      fc.nat(),
    ),
    data: fc.uint8Array({ maxLength: 300 }),
    path: fc.uint8Array({ maxLength: 20 }),
  });
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 5 }), (items) => {
      const blobs = items.map((blob) =>
        create(ListBlobsResponse_BlobSchema, { ...blob, size: BigInt(blob.size) }),
      );

      const encoded = toBinary(ListBlobsResponseSchema, encodeBlobs(ListBlobsResponseSchema, items));

      assert.deepEqual(
        encoded,
        toBinary(ListBlobsResponseSchema, create(ListBlobsResponseSchema, { blobs })),
      );
      assert.deepEqual(
        items.map(itemBytes),
        blobs.map((blob) => toBinary(ListBlobsResponse_BlobSchema, blob).length),
      );
    }),
  );
});
