import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { type ErrorDetail, GitalyError } from '#base/gitaly-error';
import { readStatus } from '#rpc/common/grpc-headers';
import { Metadata } from '#rpc/common/metadata';
import { unpackDetails } from '#rpc/common/typed-details';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { errorHeaders } from './error-headers.ts';

const MISSING = new GitalyError('INTERNAL', 'missing');

/** The headers as the other side sees them. */
function received(headers: OutgoingHttpHeaders): Metadata {
  return Metadata.fromWire(Object.entries(headers).flatMap(([key, value]) => [key, String(value)]));
}

/** The details that arrive of those that were sent. */
function arrived(details: ErrorDetail[]): readonly ErrorDetail[] | undefined {
  return readStatus(received(errorHeaders(new GitalyError('INTERNAL', 'x', { details }), 65_535)), () => MISSING)?.details;
}

test('an error survives the way through the headers', () => {
  const error = new GitalyError('ABORTED', 'grün 100%\n', { details: [create(LimitErrorSchema, { errorMessage: 'x' })] });

  const read = readStatus(received(errorHeaders(error, 65_535)), () => MISSING);

  assert.deepEqual([read?.code, read?.message, unpackDetails(read?.details ?? [])], [error.code, error.message, error.details]);
});

test('a detail of an unknown type stays packed', () => {
  const any = create(AnySchema, { typeUrl: 'type.googleapis.com/other.Thing', value: Buffer.of(1, 2) });

  assert.deepEqual(arrived([any]), [any]);
  assert.deepEqual(unpackDetails([any]), [any]);
});

test('a detail that nobody knows how to pack is left out', () => {
  assert.deepEqual(arrived([{ $typeName: 'no.Such' }]), []);
});

test('a cut message does not end inside of an escape', () => {
  for (let size = 1024 + 44 + 5; size < 1024 + 44 + 15; size++) {
    const { 'grpc-message': message } = errorHeaders(new GitalyError('INTERNAL', 'ü'.repeat(100)), size);
    assert.match(String(message), /^(%C3|%BC)*$/);
  }
});
