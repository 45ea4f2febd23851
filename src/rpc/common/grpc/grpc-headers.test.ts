import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { Metadata } from '../metadata.ts';
import { addMetadata, httpStatusError, readStatus } from './grpc-headers.ts';

const MISSING = new GitalyError('INTERNAL', 'missing');

test('a status of zero is no error, and a missing one is the given error', () => {
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

test('metadata may repeat keys but not set those of the transport', () => {
  const headers: OutgoingHttpHeaders = { te: 'trailers' };

  addMetadata(
    headers,
    Metadata.from({
      a: ['1', '2', '3'],
      te: 'x',
      'grpc-status': '0',
      'user-agent': 'x',
      connection: 'close',
    }),
  );

  assert.deepEqual(headers, { te: 'trailers', a: ['1', '2', '3'] });
});

test('responses that are not gRPC are mapped to codes', () => {
  assert.deepEqual(
    [400, 401, 403, 404, 429, 503, 500].map((status) => httpStatusError(status).code),
    [
      'INTERNAL',
      'UNAUTHENTICATED',
      'PERMISSION_DENIED',
      'UNIMPLEMENTED',
      'UNAVAILABLE',
      'UNAVAILABLE',
      'UNKNOWN',
    ],
  );
});
