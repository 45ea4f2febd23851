import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { addMetadata, errorHeaders, httpStatusError, readStatus } from './grpc-headers.ts';
import { Metadata } from './metadata.ts';

const MISSING = new GitalyError('INTERNAL', 'missing');

/** The headers as the other side sees them. */
function received(headers: OutgoingHttpHeaders): Metadata {
  return Metadata.fromWire(Object.entries(headers).flatMap(([key, value]) => [key, String(value)]));
}

test('an error survives the way through the headers', () => {
  const error = new GitalyError('ABORTED', 'grün 100%\n', { details: [create(LimitErrorSchema, { errorMessage: 'x' })] });

  const read = readStatus(received(errorHeaders(error, 65_535)), () => MISSING);

  assert.deepEqual([read?.code, read?.message, read?.details], [error.code, error.message, error.details]);
});

test('a status of zero is no error, none at all is the given one', () => {
  assert.equal(
    readStatus(Metadata.from({ 'x-a': '1' }), () => MISSING),
    MISSING,
  );
  assert.equal(
    readStatus(Metadata.fromWire(['grpc-status', '0', 'grpc-message', 'ignored']), () => MISSING),
    undefined,
  );
  assert.equal(
    readStatus(Metadata.fromWire(['grpc-status', '00']), () => MISSING),
    undefined,
  );
  assert.equal(readStatus(Metadata.fromWire(['grpc-status', 'nonsense']), () => MISSING)?.code, 'UNKNOWN');
  assert.equal(readStatus(Metadata.fromWire(['grpc-status', '99']), () => MISSING)?.code, 'UNKNOWN');
});

test('a cut message does not end inside of an escape', () => {
  for (let size = 1024 + 44 + 5; size < 1024 + 44 + 15; size++) {
    const { 'grpc-message': message } = errorHeaders(new GitalyError('INTERNAL', 'ü'.repeat(100)), size);
    assert.match(String(message), /^(%C3|%BC)*$/);
  }
});

test('metadata repeats keys and leaves those of the transport alone', () => {
  const headers: OutgoingHttpHeaders = { te: 'trailers' };

  addMetadata(
    headers,
    Metadata.from({ a: ['1', '2', '3'], te: 'x', 'grpc-status': '0', 'user-agent': 'x', connection: 'close' }),
  );

  assert.deepEqual(headers, { te: 'trailers', a: ['1', '2', '3'] });
});

test('answers that are not gRPC have codes too', () => {
  assert.deepEqual(
    [400, 401, 403, 404, 429, 503, 500].map((status) => httpStatusError(status).code),
    ['INTERNAL', 'UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED', 'UNAVAILABLE', 'UNAVAILABLE', 'UNKNOWN'],
  );
});
