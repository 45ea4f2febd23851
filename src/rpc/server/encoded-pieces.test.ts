import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, mergeFromBinary, toBinary } from '@bufbuild/protobuf';
import { fc } from '#testkit/fast-check';
import { GetBlobsRequestSchema } from '#wire/gen/blob_pb';
import { encodedPieces } from './route.ts';

/** Decodes as a server does, and returns the message or the text of the error. */
function decoded(pieces: Iterable<Uint8Array>): unknown {
  const message = create(GetBlobsRequestSchema);
  try {
    for (const piece of pieces) mergeFromBinary(GetBlobsRequestSchema, message, piece);
  } catch (error) {
    return String(error);
  }
  return message;
}

function decodedWhole(bytes: Uint8Array): unknown {
  try {
    return fromBinary(GetBlobsRequestSchema, bytes);
  } catch (error) {
    return String(error);
  }
}

const request = toBinary(
  GetBlobsRequestSchema,
  create(GetBlobsRequestSchema, {
    repository: { storageName: 'default', relativePath: 'x.git', gitAlternateObjectDirectories: ['a', 'b'] },
    revisionPaths: Array.from({ length: 5_000 }, (_, index) => ({
      revision: index % 7 === 0 ? '' : 'main',
      path: Buffer.from(`directory/${index}`),
    })),
    limit: -1n,
  }),
);

test('the pieces of a large message are short, and together the message', () => {
  const pieces = [...encodedPieces(request)];

  assert.ok(pieces.length > 5);
  assert.ok(pieces.every(({ length }) => length < 17_000));
  assert.deepEqual(Buffer.concat(pieces), Buffer.from(request));
  assert.deepEqual(decoded(pieces), decodedWhole(request));
});

test('a field that is larger is one piece, and a field in parts is merged', () => {
  const large = toBinary(
    GetBlobsRequestSchema,
    create(GetBlobsRequestSchema, { revisionPaths: [{ path: Buffer.alloc(100_000) }, {}] }),
  );
  const repository = toBinary(
    GetBlobsRequestSchema,
    create(GetBlobsRequestSchema, { repository: { relativePath: 'y.git' } }),
  );
  const both = Buffer.concat([request, repository]);

  assert.deepEqual(
    [...encodedPieces(large)].map(({ length }) => length > 100_000),
    [true, false],
  );
  assert.deepEqual(decoded(encodedPieces(both)), decodedWhole(both));
});

test('a message that is cut off fails as the whole does, and so do malformed bytes behind it', () => {
  fc.assert(
    fc.property(fc.nat(request.length), fc.constantFrom([], [0x0b], [0x07], [0x12, 0xff]), (length, end) => {
      const bytes = Buffer.from([...request.subarray(0, length), ...end]);
      assert.deepEqual(decoded(encodedPieces(bytes)), decodedWhole(bytes));
    }),
    { numRuns: 50 },
  );
});
